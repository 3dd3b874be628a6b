# SPDX-License-Identifier: Apache-2.0
"""A run's folder: what is written into it, how it is merged from shards, and how it is read back."""
