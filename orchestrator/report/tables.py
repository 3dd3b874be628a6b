# SPDX-License-Identifier: Apache-2.0
"""Everything in a run's folder that follows from its samples: summary.csv, Parquet twins, report.html, junit.xml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.analysis.compare import COMPARE, Comparison
from orchestrator.analysis.facts import gather
from orchestrator.analysis.summary import summarise
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.report.compare_page import page
from orchestrator.report.html import render
from orchestrator.report.junit import JUNIT, JUNIT_COMPARE, comparison_xml, run_xml
from orchestrator.report.sections.headline import sentences
from orchestrator.report.sections.provenance import alarms
from orchestrator.report.story import tell
from orchestrator.runs.frames import read_frame, write_parquet
from orchestrator.runs.reading import Run, load_run, read_info
from orchestrator.schema.csvtable import Table
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY

REPORT = "report.html"
COMPARE_PAGE = "compare.html"


@dataclass(frozen=True)
class Written:
    """What was written, what the run found in sentences, and what did not go well."""

    files: tuple[Path, ...]
    findings: tuple[str, ...]
    alarms: tuple[str, ...]


def write_tables(folder: Path, before_report: Callable[[], None] | None = None) -> Written:
    """Compute them from samples.csv, privacy.csv, run.yaml and events.jsonl; the same input gives the same bytes.

    Files are replaced at once. `before_report` is called when the tables are there, and may change run.yaml, which the
    report is made of. Raises UsageError if the folder is no run or a file in it is not what it should be.
    """
    run = load_run(folder)
    facts = gather(run)
    SUMMARY.write(folder / SUMMARY.name, summarise(facts.groups, run.info.margin))
    files = [folder / SUMMARY.name]
    frames: dict[Table[Any], pd.DataFrame] = {
        SAMPLES: run.samples,
        SUMMARY: read_frame(folder / SUMMARY.name, SUMMARY),
        PRIVACY: run.privacy,
    }
    for table, frame in frames.items():
        if (folder / table.name).exists():
            files.append((folder / table.name).with_suffix(".parquet"))
            write_parquet(files[-1], frame, table)
    if before_report is not None:
        before_report()
        facts = replace(facts, run=replace(run, info=read_info(folder)))
    for name, data in ((JUNIT, run_xml(facts)), (REPORT, render(tell(facts)).encode())):
        files.append(folder / name)
        replace_file(files[-1], data)
    return Written(tuple(files), tuple(sentences(facts)), tuple(alarms(facts)))


def write_comparison(folder: Path, a: Run, b: Run, comparison: Comparison, margin: float) -> Path:
    """What `compare` found of two runs as a table, for CI systems and for people; returns the page.

    Raises UsageError if there can be no such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: no folder for comparisons: {error.strerror}", hint="--output DIR") from None
    COMPARE.write(folder / COMPARE.name, comparison.rows)
    replace_file(folder / JUNIT_COMPARE, comparison_xml(a, b, comparison))
    replace_file(folder / COMPARE_PAGE, render(page(a, b, comparison, margin)).encode())
    return folder / COMPARE_PAGE
