# SPDX-License-Identifier: Apache-2.0
"""Models of every file that orch reads or writes; imports nothing from the rest of the package but errors."""
