# SPDX-License-Identifier: Apache-2.0
"""Everything in a run's folder that follows from its samples: summary.csv, Parquet twins, report.html, junit.xml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.analysis.compare import COMPARE, Comparison
from orchestrator.analysis.facts import RunFacts, gather
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.report.compare_page import page
from orchestrator.report.figure import write_figure
from orchestrator.report.html import render
from orchestrator.report.junit import JUNIT, JUNIT_COMPARE, comparison_xml, run_xml
from orchestrator.report.story import alarms, sentences, tell
from orchestrator.runs.frames import read_frame
from orchestrator.runs.parquet import write_parquet
from orchestrator.runs.reading import Run, load_run
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


def write_tables(folder: Path, figure: Path | None = None) -> Written:
    """Compute them from samples.csv, privacy.csv, run.yaml and events.jsonl; the same input gives the same bytes.

    `figure` is the place of the picture for a README, if it is wanted. Files are replaced at once. Raises UsageError
    if the folder is no run, a file in it is not what it should be, or there is nothing to draw.
    """
    facts = gather(load_run(folder))
    tables = tables_of(facts)
    written = pages_of(facts)
    if figure is not None:
        write_figure(facts, figure)
    return Written((*tables, *written.files), written.findings, written.alarms)


def tables_of(facts: RunFacts) -> tuple[Path, ...]:
    """Write summary.csv and the Parquet twins of all tables."""
    folder = facts.run.folder
    SUMMARY.write(folder / SUMMARY.name, facts.summary)
    files = [folder / SUMMARY.name]
    frames: dict[Table[Any], pd.DataFrame] = {
        SAMPLES: facts.run.samples,
        SUMMARY: read_frame(folder / SUMMARY.name, SUMMARY),
        PRIVACY: facts.run.privacy,
    }
    for table, frame in frames.items():
        if (folder / table.name).exists():
            files.append((folder / table.name).with_suffix(".parquet"))
            write_parquet(files[-1], frame, table)
    return tuple(files)


def pages_of(facts: RunFacts) -> Written:
    """Write junit.xml and report.html."""
    files = []
    for name, data in ((JUNIT, run_xml(facts)), (REPORT, render(tell(facts)).encode())):
        files.append(facts.run.folder / name)
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
