# SPDX-License-Identifier: Apache-2.0
"""The artifact graph: pinned inputs, recipes, and a content-addressed cache."""
