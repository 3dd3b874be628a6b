# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a finished run has left: which there are, and doing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import OrchError, UsageError
from orchestrator.privacy.attack import Finished, Need, OfflineAttack, find_attack
from orchestrator.privacy.rows import About, failed_row, skipped_row
from orchestrator.registry import ATTACKS
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.frames import chosen, firsts, usable
from orchestrator.runs.merge import merge
from orchestrator.runs.offline import attacks_in, keep
from orchestrator.runs.reading import load_run
from orchestrator.words import INFER, Owner, World, phases_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from orchestrator.runs.reading import Run
    from orchestrator.schema.samples import PrivacyRow

_DEFAULT_SEED = 1  # of runs that do not say theirs


def offline_attacks(names: Collection[str] = ()) -> list[OfflineAttack]:
    """The records of these names in the registry's order, all offline ones without any.

    Raises UsageError for a name that is none, or that of an attack on a running world.
    """
    for name in names:
        if not isinstance(find_attack(name), OfflineAttack):
            hint = f"name it in a workload: `attacks: [{name}]`"
            raise UsageError(f"attack {name} is done on a running world, not on a finished run", hint=hint)
    records = (find_attack(name) for name in ATTACKS if not names or name in names)
    return [record for record in records if isinstance(record, OfflineAttack)]


def attack_run(folder: Path, names: Collection[str] = ()) -> tuple[list[PrivacyRow], list[str]]:
    """Attack a finished run and keep the rows in its folder, in place of those of the same attacks.

    Without names all offline attacks that can be done. Returns the rows, and in words which attacks were left out.
    Raises UsageError for a folder that is no finished run and for names of no offline attacks, EnvError if another
    orch works on the run.
    """
    records = offline_attacks(names)
    if not (folder / "run.yaml").is_file():
        raise UsageError(f"{folder}: no run: run.yaml is not there")
    place = RunFolder(folder)
    with place.held():
        run = load_run(folder)
        if run.info.status == "running":
            raise UsageError(f"run {run.info.run_id} has not ended", hint=f"orch run --resume {run.info.run_id}")
        left_out: list[str] = []
        if not names:
            unmet = {record.name: lacking(record, run) for record in records}
            left_out = [f"{name} is left out: it needs {need}" for name, need in unmet.items() if need is not None]
            records = [record for record in records if unmet[record.name] is None]
        return _attack(place, run, records), left_out


def attack_ended(folder: RunFolder, names: Collection[str]) -> list[PrivacyRow]:
    """What of `names` is offline, at the end of a run whose folder is held; also what was done to it before."""
    again = {*names, *attacks_in(folder.folder)}
    wanted = [record.name for record in offline_attacks() if record.name in again]
    if not wanted:
        return []
    return _attack(folder, load_run(folder.folder), offline_attacks(wanted))


def attack_missing(folder: RunFolder, names: Collection[str]) -> list[PrivacyRow]:
    """What of `names` is offline and has no rows in a run that is whole, as after a kill at its very end."""
    missing = set(names) - attacks_in(folder.folder)
    wanted = [record.name for record in offline_attacks() if record.name in missing]
    return _attack(folder, load_run(folder.folder), offline_attacks(wanted)) if wanted else []


def _attack(folder: RunFolder, run: Run, records: Sequence[OfflineAttack]) -> list[PrivacyRow]:
    found: list[PrivacyRow] = []
    if not records:
        return found
    folder.log.repair()
    for record in records:
        found += [row for about in _abouts(run, record.worlds) for row in _rows(record, run, about)]
        # Without its seconds: they are no part of what the run cost, which the report shows.
        folder.log.add("offline-attack", attack=record.name)
    keep(run.folder, [record.name for record in records], found)
    merge(run.folder)
    return found


def _rows(record: OfflineAttack, run: Run, about: About) -> list[PrivacyRow]:
    """What an attack gives of one cell in one world: rows, be it that it was not done or failed."""
    need = lacking(record, run)
    if need is not None:
        return [skipped_row(about, record.name, f"it needs {need}")]
    try:
        rows = record.run(Finished(run, about, int(run.info.workload.get("seed", _DEFAULT_SEED))))
    except OrchError as error:
        return [failed_row(about, record.name, error.message)]
    if not rows or any(row.attack != record.name for row in rows):
        return [failed_row(about, record.name, "it gave no row" if not rows else "it gave rows of another attack")]
    return rows


def lacking(record: OfflineAttack, run: Run) -> Need | None:
    """What an attack needs and a run does not have: counts, or known answers. What needs a machine is never there."""
    there = {
        Need.COUNTS: len(usable(run.samples, ["value"], phase=INFER, metric="instructions")) > 0,
        Need.LABELS: len(usable(run.samples, ["value"], metric="correct")) > 0,
    }
    return next((need for need in record.needs if not there.get(need, False)), None)


def _abouts(run: Run, worlds: Collection[World]) -> Iterator[About]:
    """Each cell in each of these worlds that it was to be measured in, in the order of the cells and of `worlds`."""
    outputs = {cell.cell_id: cell.output for cell in run.info.cells}
    columns = ["cell_id", "world", "model", "quantization", "runtime", "protection"]
    steps = firsts(chosen(run.samples, columns, phase=phases_of(Owner.STEP)), ["cell_id", "world"])
    cells = steps.drop_duplicates("cell_id").to_dict("records")
    places = set(steps[["cell_id", "world"]].itertuples(index=False, name=None))
    for cell in cells:
        for world in worlds:
            if (cell["cell_id"], str(world)) in places:
                yield About(
                    world=str(world),
                    model=str(cell["model"]),
                    quantization=str(cell["quantization"]),
                    run_id=run.info.run_id,
                    cell_id=str(cell["cell_id"]),
                    protection=str(cell["protection"]),
                    runtime=str(cell["runtime"]),
                    output=outputs.get(str(cell["cell_id"])),
                )
