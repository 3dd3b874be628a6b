# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: each a function that draws numbers which were computed elsewhere, as an <svg>."""
