# SPDX-License-Identifier: Apache-2.0
"""The artifact graph: pinned packages, recipes, and a content-addressed cache."""
