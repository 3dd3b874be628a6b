# SPDX-License-Identifier: Apache-2.0
"""From a workload file to a run folder: plan, run, collect."""
