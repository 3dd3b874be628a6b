# SPDX-License-Identifier: Apache-2.0
"""The end of a run: tables and report, and what these cost themselves."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.runs.costs import add_cost

if TYPE_CHECKING:
    from orchestrator.report.tables import Written
    from orchestrator.runs.folder import RunFolder


def finish(run: RunFolder) -> Written:
    """Write all that follows from a run that is over; tables are part of its costs in run.yaml.

    Drawing the report is in no sum: the report shows the sums, and is to be the same when it is drawn again.
    """
    began = time.monotonic()
    from orchestrator.analysis.facts import gather  # noqa: PLC0415 - to load pandas is part of what tables cost
    from orchestrator.report.tables import Written, pages_of, tables_of  # noqa: PLC0415
    from orchestrator.runs.reading import load_run  # noqa: PLC0415
    from orchestrator.runs.run_file import read_run_file  # noqa: PLC0415

    facts = gather(load_run(run.folder))
    tables = tables_of(facts)
    drawing = time.monotonic()
    add_cost(run, "tables_s", drawing - began, sums=("wall_s", "orchestration_s"))
    facts = replace(facts, run=replace(facts.run, info=read_run_file(run.folder)))
    pages = pages_of(facts)
    add_cost(run, "report_s", time.monotonic() - drawing)
    return Written((*tables, *pages.files), pages.findings, pages.alarms)
