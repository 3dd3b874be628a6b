# SPDX-License-Identifier: Apache-2.0
"""Reports as self-contained HTML: tables and figures that were computed elsewhere, laid out and drawn."""
