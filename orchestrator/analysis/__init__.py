# SPDX-License-Identifier: Apache-2.0
"""Statistics of runs, comparison of runs, and the files that follow from a run's samples. Method: docs/analysis.md."""
