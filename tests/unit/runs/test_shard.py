# SPDX-License-Identifier: Apache-2.0
"""A run's folder survives kills: no finished row is lost, none is doubled."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.experiment.plan import cells_of
from orchestrator.privacy.rows import About
from orchestrator.runs.events import EVENTS
from orchestrator.runs.matrix import Step, SubjectKey
from orchestrator.runs.observation import Observation
from orchestrator.runs.rows import RowFacts, RowMaker
from orchestrator.runs.shard import PRIVACY, SAMPLES, Shard
from orchestrator.schema.workload import BOOTS_MAX, Workload, machine_seed
from orchestrator.schema.yamlfile import loads

CELL = cells_of(loads("name: w\nmodels: fashion_cnn\n", "w.yaml", Workload))[0]
ROW = Observation("infer", "all", "instructions", 7, "tcg_plugin", 0)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    made = Shard(tmp_path / "boot-000")
    made.make()
    return made


def maker(shard: Shard, boot_id: int = 0) -> RowMaker:
    facts = RowFacts(
        run_id="w-1",
        boot_id=boot_id,
        workload="w",
        seed=1,
        platform="qemu",
        platform_version="qemu-10.0",
        stack_hash="0a" * 32,
        model_sha256={SubjectKey.of(CELL): "1b" * 32},
        host_cpus=2,
    )
    return RowMaker(shard, facts)


def rows(shard: Shard) -> list[dict[str, str]]:
    with (shard.folder / SAMPLES).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def finish(shard: Shard, boot: int, status: str = "ok") -> None:
    step, make = Step(CELL, "vm", boot), maker(shard, boot)
    if status == "ok":
        make.step(step, [ROW, ROW])
    else:
        make.failed(step, status, "why")
    shard.step_done(step.key, status=status, boot_id=boot)


def test_a_row_has_the_seed_that_its_machine_had(shard: Shard) -> None:
    """Boots of a run differ in it, and so do runs whose workloads do."""
    for boot in (0, 1):
        finish(shard, boot)
    assert [row["seed"] for row in rows(shard)] == ["100", "100", "101", "101"]
    assert len({machine_seed(seed, boot) for seed in range(5) for boot in range(BOOTS_MAX)}) == 5 * BOOTS_MAX


def test_a_finished_step_stays(shard: Shard) -> None:
    finish(shard, 0)
    before = rows(shard)
    shard.repair()
    assert rows(shard) == before
    assert list(shard.steps()) == [Step(CELL, "vm", 0).key]


@pytest.mark.parametrize("cut", range(1, 400, 37))
def test_a_kill_within_a_step_leaves_nothing_of_it(shard: Shard, cut: int) -> None:
    finish(shard, 0)
    before = rows(shard)
    whole = (shard.folder / SAMPLES).stat().st_size
    maker(shard, 1).step(Step(CELL, "vm", 1), [ROW, ROW, ROW])  # and no word of it in the shard
    with (shard.folder / SAMPLES).open("r+b") as stream:
        stream.truncate(whole + cut)
    shard.repair()
    assert rows(shard) == before


def test_a_torn_event_is_cut_off(shard: Shard) -> None:
    finish(shard, 0)
    with (shard.folder / EVENTS).open("ab") as stream:
        stream.write(b'{"event": "step-done", "key": "x')
    shard.repair()
    finish(shard, 1)
    assert len(shard.steps()) == 2


@pytest.mark.parametrize("line", [b"garbage", b"\xff\xfe", b"[1]", b'{"utc": "x"}'])
def test_a_whole_line_that_is_no_event_is_told_with_its_place(shard: Shard, line: bytes) -> None:
    finish(shard, 0)
    with (shard.folder / EVENTS).open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(UsageError, match=r"/events\.jsonl:2: no event: "):
        shard.repair()


def test_rows_of_guests_lives_are_kept_as_well(shard: Shard) -> None:
    maker(shard).booted(Step(CELL, "vm", 0), 1.5)
    shard.repair()
    assert [row["phase"] for row in rows(shard)] == ["boot"]


def test_what_will_be_tried_again_is_dropped(shard: Shard) -> None:
    finish(shard, 0)
    finish(shard, 1, "failed")
    assert {row["status"] for row in rows(shard)} == {"ok", "failed"}
    shard.repair()
    assert {row["status"] for row in rows(shard)} == {"ok"}
    finish(shard, 1)
    assert len(rows(shard)) == 4
    shard.repair()
    assert len(rows(shard)) == 4


def test_a_step_without_a_last_word_leaves_nothing_even_behind_others(shard: Shard) -> None:
    """Its attacks come when the steps that share its guest are done; a kill before that is the end of its samples."""
    maker(shard, 0).step(Step(CELL, "realm", 0), [ROW])
    finish(shard, 0)
    shard.repair()
    assert {row["world"] for row in rows(shard)} == {"vm"}
    assert len(rows(shard)) == 2


def privacy_worlds(shard: Shard) -> list[str]:
    with (shard.folder / PRIVACY).open(encoding="utf-8") as stream:
        return [row["world"] for row in csv.DictReader(stream)]


def test_rows_of_attacks_go_with_their_step(shard: Shard) -> None:
    for world, status in (("realm", "error"), ("vm", "ok"), ("host", None)):
        step = Step(CELL, world, 0)
        maker(shard).step(step, [ROW])
        about = About(world, CELL.model, CELL.quantization, cell_id=CELL.cell_id)
        maker(shard).attack([about.row("memory-scan", "blocks_recovered", value=0)])
        if status:
            shard.step_done(step.key, status=status, boot_id=0)
    assert privacy_worlds(shard) == ["realm", "vm", "host"]
    shard.repair()
    assert privacy_worlds(shard) == [row["world"] for row in rows(shard)] == ["vm"]


def test_what_is_retracted_takes_its_rows_and_no_others(shard: Shard) -> None:
    maker(shard).booted(Step(CELL, "vm", 0), 1.5)
    finish(shard, 0)
    finish(shard, 1)
    finish(shard, 2, "error")
    maker(shard, 1).step(Step(CELL, "realm", 1), [ROW])  # still open
    shard.retract(Step(CELL, "vm", 0).key, "the twins differ")
    left = [(row["world"], row["boot_id"], row["phase"], row["status"]) for row in rows(shard)]
    assert left == [
        ("host", "0", "boot", "ok"),
        ("vm", "1", "infer", "ok"),
        ("vm", "1", "infer", "ok"),
        ("vm", "2", "infer", "error"),
        ("realm", "1", "infer", "ok"),
    ]
    assert shard.done() == {Step(CELL, "vm", 1).key}
    assert shard.steps()[Step(CELL, "vm", 0).key].note == "the twins differ"


def test_the_machines_own_boot_is_the_hosts_and_began_when_it_began(shard: Shard) -> None:
    make = dataclasses.replace(maker(shard, 3), began="2026-01-01T00:00:00Z")
    make.booted(Step(CELL, "realm", 0), 9.0)
    (row,) = rows(shard)
    assert (row["world"], row["started_utc"], row["boot_id"]) == ("host", "2026-01-01T00:00:00Z", "3")


def test_a_kill_while_repairing_is_no_loss(shard: Shard) -> None:
    finish(shard, 0)
    finish(shard, 1, "failed")
    before = [row for row in rows(shard) if row["status"] == "ok"]
    shard.log.add("rows", sizes=None)  # killed right before, or right after, the table was replaced
    shard.repair()
    assert rows(shard) == before
