# SPDX-License-Identifier: Apache-2.0
"""The history of nightly runs: one CSV that grows by a line for each cell of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.facts import CellFacts, gather
from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.runs.reading import Run, load_run
from orchestrator.runs.run_file import CellFacts as CellEntry
from orchestrator.schema.csvtable import VERSION, Edition, Finite, Name, Note, Row, Table, Utc
from orchestrator.schema.samples import EARLIER_ESTIMATOR
from orchestrator.words import INFER, Verdict, World

HISTORY_VERSION = 3
_MEDIANS = {"estimator": EARLIER_ESTIMATOR, "vm_mean": "", "realm_mean": "", "needed": ""}
_FIRST = {VERSION: "1", "runtime": DEFAULT_RUNTIME, "protection": DEFAULT_PROTECTION}
_OLDER = (Edition(2, _MEDIANS), Edition(1, {**_FIRST, **_MEDIANS}))


class HistoryRow(Row):
    """The inference of one cell in one run: instructions in vm and realm, their ratio, its interval and verdict.

    Rows of a cell make one line of a history as far as they have the same estimator.
    """

    schema_version: Annotated[
        int, Field(ge=HISTORY_VERSION, le=HISTORY_VERSION, description="version of these columns")
    ] = HISTORY_VERSION
    utc: Utc | None = Field(description="when the run began")
    run_id: Name
    git_revision: Note = Field(description="the checkout that ran")
    cell_id: Name
    model: Name
    quantization: Name
    runtime: Name
    protection: Name
    icount_shift: int | None
    host_hz: int
    guest_hz: int
    estimator: Name = Field(
        description=f"name and version of what made means, ratio and interval; `{EARLIER_ESTIMATOR}`: they are those "
        "of medians. Lines of different ones do not go on with each other"
    )
    boots: int = Field(description="boots of vm or realm with fewer, or of the only one; 0: both are missing")
    samples: int = Field(description="inferences, likewise")
    vm_mean: Finite | None = Field(description="instructions of one inference in the normal VM, mean")
    realm_mean: Finite | None = Field(description="the same in the realm")
    vm_median: Finite | None = Field(description="their median in the normal VM: a description, no part of the ratio")
    realm_median: Finite | None = Field(description="the same in the realm")
    ratio: Finite | None = Field(description="realm over vm")
    ci_low: Finite | None = Field(description="lower end of the ratio's 95 % interval")
    ci_high: Finite | None = Field(description="upper end")
    verdict: Verdict | None = Field(description="the ratio in one word")
    needed: int | None = Field(description="of `too few ticks`: the iterations a boot that would do")


HISTORY = Table("history.csv", HistoryRow, HISTORY_VERSION, _OLDER)


@dataclass(frozen=True)
class Appended:
    """How many lines were added to a history, and how many there are of each other estimator: another line each."""

    added: int
    others: Mapping[str, int]

    @property
    def notice(self) -> str | None:
        """What is not to be drawn as one line, in words; None if all of it is."""
        if not self.others:
            return None
        told = ", ".join(f"{count} of {name}" for name, count in self.others.items())
        return f"not one line with those of {ESTIMATOR}, and not to be compared with them: {told}"


def append_history(path: Path, folder: Path) -> Appended:
    """Append the cells of a run that are not there yet by this estimator; the second time there are none.

    A line that a kill has torn is cut first, and a file of an older version gets the columns of this one; its lines
    stay, with the name of the estimator that made them. Raises UsageError for another file or no run.
    """
    run = load_run(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    HISTORY.upgrade(path)
    there = list(HISTORY.rows(path)) if path.exists() else []
    known = {(row.run_id, row.cell_id) for row in there if row.estimator == ESTIMATOR}
    measured = gather(run).cells
    failed = [cell for cell in run.info.cells if cell.cell_id not in {each.cell_id for each in measured}]
    made = [*(_row(run, cell) for cell in measured), *(row for cell in failed if (row := _failed(run, cell)))]
    rows = [row for row in made if (row.run_id, row.cell_id) not in known]
    if rows:
        HISTORY.append(path, rows)
    return Appended(len(rows), Counter(row.estimator for row in there if row.estimator != ESTIMATOR))


def history_lines(path: Path) -> dict[tuple[str, str], list[HistoryRow]]:
    """The rows of a history that go on with each other: by cell and estimator, in the order of the file."""
    found: dict[tuple[str, str], list[HistoryRow]] = {}
    for row in HISTORY.rows(path):
        found.setdefault((row.cell_id, row.estimator), []).append(row)
    return found


def _about(run: Run, cell: CellFacts | CellEntry) -> dict[str, Any]:
    return {
        "utc": run.info.started_utc,
        "run_id": run.info.run_id,
        "git_revision": run.info.git.revision,
        "cell_id": cell.cell_id,
        "model": cell.model,
        "quantization": cell.quantization,
        "runtime": cell.runtime,
        "protection": cell.protection,
        "icount_shift": cell.icount_shift,
        "host_hz": cell.host_hz,
        "guest_hz": cell.guest_hz,
        "estimator": ESTIMATOR,
    }


def _row(run: Run, cell: CellFacts) -> HistoryRow:
    ratio = cell.over_vm.get((World.REALM, INFER))
    vm, realm = (cell.inference.get(world) for world in (World.VM, World.REALM))
    return HistoryRow(
        **_about(run, cell),
        boots=cell.boots,
        samples=cell.samples,
        vm_mean=vm.estimate if vm else None,
        realm_mean=realm.estimate if realm else None,
        vm_median=cell.medians.get(World.VM),
        realm_median=cell.medians.get(World.REALM),
        ratio=ratio.estimate if ratio else None,
        ci_low=ratio.low if ratio else None,
        ci_high=ratio.high if ratio else None,
        verdict=cell.verdict,
        needed=cell.ticks.needed if cell.ticks and cell.verdict is Verdict.TOO_FEW_TICKS else None,
    )


def _failed(run: Run, cell: CellEntry) -> HistoryRow | None:
    """The line of a cell without a usable sample; none if run.yaml, of an older version, does not say its ticks."""
    if cell.host_hz is None or cell.guest_hz is None:
        return None
    return HistoryRow(
        **_about(run, cell),
        boots=0,
        samples=0,
        vm_mean=None,
        realm_mean=None,
        vm_median=None,
        realm_median=None,
        ratio=None,
        ci_low=None,
        ci_high=None,
        verdict=None,
        needed=None,
    )
