# SPDX-License-Identifier: Apache-2.0
"""What is done to a model before it is deployed: what is delivered, how a world opens it, what of it is secret."""
