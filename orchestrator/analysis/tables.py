# SPDX-License-Identifier: Apache-2.0
"""Everything in a run's folder that follows from its samples: summary.csv, Parquet twins, report.html."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.analysis.frames import read_frame, write_parquet
from orchestrator.analysis.run_folder import load_run
from orchestrator.analysis.summary import groups, summarise
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY


@dataclass(frozen=True)
class Written:
    """What was written, and the run's findings in a few lines of text."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]


def write_tables(folder: Path) -> Written:
    """Compute them from samples.csv, privacy.csv, run.yaml and events.jsonl; the same input gives the same bytes.

    Files are replaced at once. Raises UsageError if the folder is no run or a file in it is not what it should be.
    """
    run = load_run(folder)
    SUMMARY.write(folder / SUMMARY.name, summarise(groups(run.samples), run.info.margin))
    summary = read_frame(folder / SUMMARY.name, SUMMARY)
    for frame, table in ((run.samples, SAMPLES), (summary, SUMMARY), (run.privacy, PRIVACY)):
        if (folder / table.name).exists():
            write_parquet((folder / table.name).with_suffix(".parquet"), frame, table)
    return Written((), ())
