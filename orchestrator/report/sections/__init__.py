# SPDX-License-Identifier: Apache-2.0
"""The sections of a run's report, a module each: numbers of `RunFacts` become sentences, tables and figures."""
