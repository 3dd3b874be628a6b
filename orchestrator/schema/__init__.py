# SPDX-License-Identifier: Apache-2.0
"""Models of every file that orch reads or writes; stands on the vocabulary and the registries alone."""
