# SPDX-License-Identifier: Apache-2.0
"""A run's folder survives kills: no finished row is lost, none is doubled."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from orchestrator.errors import EnvError, UsageError
from orchestrator.experiment.plan import cells_of
from orchestrator.privacy.rows import About
from orchestrator.runs.journal import EVENTS, PRIVACY, RUN_FILE, SAMPLES, Journal
from orchestrator.runs.matrix import Step, SubjectKey
from orchestrator.runs.observation import Observation
from orchestrator.runs.rows import RowMaker
from orchestrator.schema.workload import BOOTS_MAX, Workload, machine_seed
from orchestrator.schema.yamlfile import loads

CELL = cells_of(loads("name: w\nmodels: fashion_cnn\n", "w.yaml", Workload))[0]
ROW = Observation("infer", "all", "instructions", 7, "tcg_plugin", 0)


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
        model_sha256={SubjectKey.of(CELL): "1b" * 32},
        host_cpus=2,
    )


def rows(journal: Journal) -> list[dict[str, str]]:
    with (journal.folder / SAMPLES).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def finish(journal: Journal, boot: int, status: str = "ok") -> None:
    step, make = Step(CELL, "vm", boot), maker(journal)
    if status == "ok":
        make.step(step, boot, [ROW, ROW])
    else:
        make.failed(step, boot, status, "why")
    journal.step_done(step.key, status=status, boot_id=boot, sizes=journal.sizes())


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
    maker(journal).step(Step(CELL, "vm", 1), 1, [ROW, ROW, ROW])  # and no word of it in the journal
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


@pytest.mark.parametrize("line", [b"garbage", b"\xff\xfe", b"[1]", b'{"utc": "x"}'])
def test_a_whole_line_that_is_no_event_is_told_with_its_place(journal: Journal, line: bytes) -> None:
    finish(journal, 0)
    with (journal.folder / EVENTS).open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(UsageError, match=r"/events\.jsonl:2: no event: "):
        journal.repair()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("", "not a description of a run"),
        ("{}", "status: missing"),
        ("a: [", "not valid YAML: "),
        ("a: \x07", "not valid YAML: "),
        ("{status: ok, workload: {}, testbed: 3}", "testbed: missing, or not what a run has there"),
    ],
)
def test_a_run_file_that_is_none(journal: Journal, text: str | None, problem: str) -> None:
    if text is not None:
        (journal.folder / RUN_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        journal.read_run()
    assert caught.value.message.startswith(f"{journal.folder}/run.yaml: {problem}")
    assert "\n" not in caught.value.message


def test_runs_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for results in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UsageError, match=rf"^{results}: no folder for runs: Not a directory$"):
            Journal.create(results, "w")


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


def test_a_step_without_a_last_word_leaves_nothing_even_behind_others(journal: Journal) -> None:
    """Its attacks come when the steps that share its guest are done; a kill before that is the end of its samples."""
    maker(journal).step(Step(CELL, "realm", 0), 0, [ROW])
    finish(journal, 0)
    journal.repair()
    assert {row["world"] for row in rows(journal)} == {"vm"}
    assert len(rows(journal)) == 2


def privacy_worlds(journal: Journal) -> list[str]:
    with (journal.folder / PRIVACY).open(encoding="utf-8") as stream:
        return [row["world"] for row in csv.DictReader(stream)]


def test_rows_of_attacks_go_with_their_step(journal: Journal) -> None:
    for world, status in (("realm", "error"), ("vm", "ok"), ("host", None)):
        step = Step(CELL, world, 0)
        maker(journal).step(step, 0, [ROW])
        about = About(world, CELL.model, CELL.quantization, cell_id=CELL.cell_id)
        maker(journal).attack([about.row("memory-scan", "blocks_recovered", value=0)])
        if status:
            journal.step_done(step.key, status=status, boot_id=0, sizes=journal.sizes())
    assert privacy_worlds(journal) == ["realm", "vm", "host"]
    journal.repair()
    assert privacy_worlds(journal) == [row["world"] for row in rows(journal)] == ["vm"]


def test_what_is_retracted_takes_its_rows_and_no_others(journal: Journal) -> None:
    maker(journal).booted(Step(CELL, "vm", 0), 0, 1.5)
    finish(journal, 0)
    finish(journal, 1)
    finish(journal, 2, "error")
    maker(journal).step(Step(CELL, "realm", 1), 1, [ROW])  # still open
    journal.retract(Step(CELL, "vm", 0).key, "the twins differ")
    left = [(row["world"], row["boot_id"], row["phase"], row["status"]) for row in rows(journal)]
    assert left == [
        ("host", "0", "boot", "ok"),
        ("vm", "1", "infer", "ok"),
        ("vm", "1", "infer", "ok"),
        ("vm", "2", "infer", "error"),
        ("realm", "1", "infer", "ok"),
    ]
    assert journal.done() == {Step(CELL, "vm", 1).key}
    assert journal.steps()[Step(CELL, "vm", 0).key]["note"] == "the twins differ"


def test_the_machines_own_boot_is_the_hosts_and_began_when_it_began(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(["2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"])
    monkeypatch.setattr("orchestrator.runs.rows.utc_now", lambda: next(moments))
    make = maker(journal)
    make.booting(3)
    make.booted(Step(CELL, "realm", 0), 3, 9.0)
    (row,) = rows(journal)
    assert (row["world"], row["started_utc"]) == ("host", "2026-01-01T00:00:00Z")


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
