# SPDX-License-Identifier: Apache-2.0
"""Models and what they are given: the zoo, tensors, runtimes, and the oracle of what they answer."""
