# SPDX-License-Identifier: Apache-2.0
"""A run's folder survives kills: no finished row is lost, none is doubled."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from orchestrator.errors import EnvError
from orchestrator.experiment.collect import Observation
from orchestrator.experiment.journal import EVENTS, SAMPLES, Journal
from orchestrator.experiment.plan import Step, cells_of
from orchestrator.experiment.rows import RowMaker
from orchestrator.schema.workload import BOOTS_MAX, Workload, machine_seed
from orchestrator.schema.yamlfile import loads

CELL = cells_of(loads("name: w\nmodels: fashion_cnn\n", "w.yaml", Workload))[0]
ROW = Observation("infer", "all", "instructions", 7, "1", "tcg_plugin", 0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "results", "w")


def maker(journal: Journal) -> RowMaker:
    return RowMaker(
        journal=journal,
        workload="w",
        seed=1,
        platform_version="qemu-10.0",
        stack_hash={CELL.machine: "0a" * 32},
        model_sha256={(CELL.model, CELL.quantization): "1b" * 32},
        host_cpus=2,
    )


def rows(journal: Journal) -> list[dict[str, str]]:
    with (journal.folder / SAMPLES).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def finish(journal: Journal, boot: int, status: str = "ok") -> None:
    step, make = Step(CELL, "vm", boot), maker(journal)
    if status == "ok":
        sizes = make.step(step, boot, [ROW, ROW], [])
    else:
        make.failed(step, boot, status, "why")
        sizes = make.sizes()
    journal.step_done(step.key, status=status, boot_id=boot, sizes=sizes)


def test_a_row_has_the_seed_that_its_machine_had(journal: Journal) -> None:
    """Boots of a run differ in it, and so do runs whose workloads do."""
    for boot in (0, 1):
        finish(journal, boot)
    assert [row["seed"] for row in rows(journal)] == ["100", "100", "101", "101"]
    assert len({machine_seed(seed, boot) for seed in range(5) for boot in range(BOOTS_MAX)}) == 5 * BOOTS_MAX


def test_a_finished_step_stays(journal: Journal) -> None:
    finish(journal, 0)
    before = rows(journal)
    journal.repair()
    assert rows(journal) == before
    assert list(journal.steps()) == [Step(CELL, "vm", 0).key]


@pytest.mark.parametrize("cut", range(1, 400, 37))
def test_a_kill_within_a_step_leaves_nothing_of_it(journal: Journal, cut: int) -> None:
    finish(journal, 0)
    before = rows(journal)
    whole = (journal.folder / SAMPLES).stat().st_size
    maker(journal).step(Step(CELL, "vm", 1), 1, [ROW, ROW, ROW], [])  # and no word of it in the journal
    with (journal.folder / SAMPLES).open("r+b") as stream:
        stream.truncate(whole + cut)
    journal.repair()
    assert rows(journal) == before


def test_a_torn_event_is_cut_off(journal: Journal) -> None:
    finish(journal, 0)
    with (journal.folder / EVENTS).open("ab") as stream:
        stream.write(b'{"event": "step-done", "key": "x')
    journal.repair()
    finish(journal, 1)
    assert len(journal.steps()) == 2


def test_rows_of_guests_lives_are_kept_as_well(journal: Journal) -> None:
    maker(journal).booted(Step(CELL, "vm", 0), 0, 1.5)
    journal.repair()
    assert [row["phase"] for row in rows(journal)] == ["boot"]


def test_what_will_be_tried_again_is_dropped(journal: Journal) -> None:
    finish(journal, 0)
    finish(journal, 1, "failed")
    assert {row["status"] for row in rows(journal)} == {"ok", "failed"}
    journal.repair()
    assert {row["status"] for row in rows(journal)} == {"ok"}
    finish(journal, 1)
    assert len(rows(journal)) == 4
    journal.repair()
    assert len(rows(journal)) == 4


def test_a_kill_while_repairing_is_no_loss(journal: Journal) -> None:
    finish(journal, 0)
    finish(journal, 1, "failed")
    before = [row for row in rows(journal) if row["status"] == "ok"]
    journal.event("rows", sizes=None)  # killed right before, or right after, the table was replaced
    journal.repair()
    assert rows(journal) == before


def test_two_do_not_write_to_one_run(journal: Journal) -> None:
    with journal.held(), pytest.raises(EnvError, match="another orch"), journal.held():
        pass
