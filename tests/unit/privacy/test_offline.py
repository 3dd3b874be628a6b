# SPDX-License-Identifier: Apache-2.0
"""Attacks on a finished run: what they leave in its folder, once or twice, beside what was there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from synthetic import Cell, Plan, make_run

from orchestrator.cli.main import orch
from orchestrator.errors import EnvError, OrchError, UsageError
from orchestrator.privacy.attack import AttackMetric, Finished, Need, OfflineAttack
from orchestrator.privacy.offline import attack_ended, attack_missing, attack_run, offline_attacks
from orchestrator.registry import ATTACKS
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.merge import merge
from orchestrator.runs.offline import attacks_in
from orchestrator.schema.samples import PRIVACY, PrivacyRow
from orchestrator.words import World

PLAN = Plan(name="over", cells=(Cell(), Cell("two-x")), boots=2, iterations=3, warmups=1)


def toy(name: str = "toy", **changes: Any) -> OfflineAttack:
    """An attack that tells how many samples it was shown."""

    def run(finished: Finished) -> list[PrivacyRow]:
        mine = finished.run.samples[finished.run.samples["cell_id"] == finished.about.cell_id]
        return [finished.about.row(name, "seen", value=len(mine), attempted=finished.seed)]

    facts: dict[str, Any] = {"metrics": (AttackMetric("seen", "samples", main=True),), "worlds": (World.REALM,)}
    return OfflineAttack(**{"name": name, "summary": "a toy", "run": run, **facts, **changes})


@contextmanager
def only(*records: OfflineAttack) -> Iterator[None]:
    """These are registered beside those that there are."""
    with ATTACKS.extended(*records):
        yield


def lines(folder: Path) -> list[bytes]:
    return (folder / "privacy.csv").read_bytes().splitlines(keepends=True)


def rows(folder: Path, attack: str) -> list[dict[str, str]]:
    with (folder / "privacy.csv").open(encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["attack"] == attack]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "results", PLAN)


def test_a_second_time_replaces_and_touches_nothing_else(folder: Path) -> None:
    before = lines(folder)
    with only(toy(), toy("other")):
        attack_run(folder, ["toy", "other"])
        once = lines(folder)
        assert once[: len(before)] == before
        assert [row["cell_id"] for row in rows(folder, "toy")] == [cell.cell_id for cell in PLAN.cells]
        attack_run(folder, ["toy"])
        assert lines(folder) == once
    with only(toy(worlds=(World.VM, World.HOST))):
        attack_run(folder, ["toy"])
    changed = lines(folder)
    others = [line for line in changed if b",toy," not in line]
    assert others == [line for line in once if b",toy," not in line]
    assert [(row["cell_id"], row["world"]) for row in rows(folder, "toy")] == [
        (cell.cell_id, world) for cell in PLAN.cells for world in ("vm", "host")
    ]
    assert list(PRIVACY.rows(folder / "privacy.csv"))  # all of them can be read


def test_rows_of_attacks_that_nobody_knows_any_more_stay(folder: Path) -> None:
    """Also where a field has a comma and quotes."""
    row = lines(folder)[1].replace(b"memory-scan", b"rowhammer").replace(b"exposed", b'"exposed, ""all"""')
    with (folder / "privacy.csv").open("ab") as stream:
        stream.write(row)
    with only(toy()):
        attack_run(folder, ["toy"])
        assert row in lines(folder)
        assert attacks_in(folder) == {"memory-scan", "dma", "rowhammer", "toy"}
        attack_run(folder, ["toy"])
    assert lines(folder).count(row) == 1


def test_a_run_without_attacks_gets_its_first_rows(tmp_path: Path) -> None:
    folder = make_run(tmp_path, PLAN, privacy=False)
    with only(toy()):
        found, _ = attack_run(folder, ["toy"])
    assert list(PRIVACY.rows(folder / "privacy.csv")) == found
    assert len(found) == 2
    assert found[0].attempted == 1  # the seed of a run that does not say its own


def test_a_foreign_table_is_left_alone(folder: Path) -> None:
    (folder / "privacy.csv").write_bytes(b"a,b\n1,2\n")
    with only(toy()), pytest.raises(UsageError, match=r"not a privacy\.csv of this version"):
        attack_run(folder, ["toy"])
    assert (folder / "privacy.csv").read_bytes() == b"a,b\n1,2\n"


def test_no_attack_is_passed_over_in_silence(folder: Path) -> None:
    def broken(finished: Finished) -> list[PrivacyRow]:
        if finished.about.cell_id == PLAN.cells[0].cell_id:
            raise OrchError("it broke")
        return []

    foreign = toy("foreign", run=lambda finished: [finished.about.row("dma", "realm_read_it", value=1)])
    with only(toy("broken", run=broken), foreign, toy("needy", needs=(Need.MEMORY_VIEW,))):
        attack_run(folder, ["broken", "foreign", "needy"])
    found = [
        (row["attack"], row["status"], row["note"])
        for name in ("broken", "foreign", "needy")
        for row in rows(folder, name)
    ]
    why = "not done: it needs a platform that shows all memory of its machine"
    assert found == [
        ("broken", "error", "it broke"),
        ("broken", "error", "it gave no row"),
        *[("foreign", "error", "it gave rows of another attack")] * 2,
        *[("needy", "skipped", why)] * 2,
    ]


def test_without_names_what_can_be_done_is_done(folder: Path) -> None:
    with only(toy(needs=(Need.COUNTS, Need.LABELS)), toy("needy", needs=(Need.DMA_DEVICE,))):
        found, left_out = attack_run(folder)
    assert {row.attack for row in found} == {"answer-time", "toy"}
    assert left_out == ["needy is left out: it needs a platform with a device that copies to an address it is told"]


def test_a_cell_that_was_never_measured_in_a_world_is_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path, PLAN.but(broken=(("two-x", "realm"),)))
    found, _ = attack_run(folder, ["answer-time"])
    (row,) = [row for row in found if (row.cell_id, row.world) == ("two-x", "realm")]
    assert row.status == "skipped"


def test_rows_survive_merging_and_have_a_shard_of_their_own(folder: Path) -> None:
    shard = RunFolder(folder).shard(0)
    shard.make()
    for name in ("samples.csv", "privacy.csv"):
        (folder / name).rename(shard.folder / name)
    own = folder / "shards" / "offline" / "privacy.csv"
    merge(folder)
    before = lines(folder)
    with only(toy(), toy("other")):
        for names in (["toy"], ["other"], ["toy"]):
            attack_run(folder, names)
        after = lines(folder)
        assert after[: len(before)] == before
        assert own.read_bytes().splitlines(keepends=True) == [before[0], *after[len(before) :]]
        assert {row.attack for row in PRIVACY.rows(own)} == {"toy", "other"}
        merge(folder)
        assert lines(folder) == after


def test_at_the_end_of_a_run_what_was_named_and_what_was_there_is_done(folder: Path) -> None:
    journal = RunFolder(folder)
    with only(toy(), toy("other")):
        assert attack_ended(journal, ["memory-scan"]) == []
        assert {row.attack for row in attack_ended(journal, ["memory-scan", "toy"])} == {"toy"}
        assert {row.attack for row in attack_ended(journal, ["other"])} == {"toy", "other"}
        done = lines(folder)
        events = (folder / "events.jsonl").read_bytes()
        assert attack_missing(journal, ["toy", "other", "dma"]) == []
        assert (lines(folder), (folder / "events.jsonl").read_bytes()) == (done, events)


# --- the command ------------------------------------------------------------------------------------------------------


def attack(folder: Path, *names: str) -> Result:
    return CliRunner().invoke(orch, ["attack", folder.name, *names, "--results", str(folder.parent)])


@pytest.mark.usefixtures("unrendered")
def test_the_command_makes_tables_and_report_again(folder: Path) -> None:
    with only(toy()):
        done = attack(folder, "toy")
        assert done.exit_code == 0, done.output
        first, second, *_, last = done.output.splitlines()
        assert first.startswith(f"toy: {PLAN.cells[0].cell_id} in realm: seen ")
        assert second.startswith("toy: two-x in realm: seen ")
        assert last == str(folder / "report.html")
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert ">toy<" in page
        parquet = (folder / "privacy.parquet").read_bytes()
        assert attack(folder, "toy").exit_code == 0
        assert (folder / "report.html").read_text(encoding="utf-8") == page
        assert (folder / "privacy.parquet").read_bytes() == parquet


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("memory-scan", "attack memory-scan is done on a running world, not on a finished run"),
        ("rowhammer", "unknown attack 'rowhammer'"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(folder: Path, name: str, words: str) -> None:
    before = lines(folder)
    result = attack(folder, "answer-time", name)
    assert isinstance(result.exception, UsageError)
    assert result.exception.message == words
    assert lines(folder) == before


def test_a_run_that_is_none_or_has_not_ended(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no run: run\.yaml is not there"):
        attack_run(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []
    facts = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    (folder / "run.yaml").write_text(yaml.safe_dump(facts | {"status": "running"}), encoding="utf-8")
    with pytest.raises(UsageError, match="has not ended"):
        attack_run(folder)
    with RunFolder(folder).held(), pytest.raises(EnvError, match="another orch"):
        attack_run(folder)


def test_all_offline_attacks_are_found() -> None:
    with only(toy()):
        assert [record.name for record in offline_attacks()] == ["answer-time", "toy"]
