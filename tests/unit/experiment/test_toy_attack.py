# SPDX-License-Identifier: Apache-2.0
"""An attack from outside the package's files, one record and one registration, is found wherever attacks are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from synthetic import Cell as MadeCell
from synthetic import Plan, make_run

from orchestrator.errors import OrchError, UsageError
from orchestrator.experiment.attacks import Attacks
from orchestrator.experiment.conduct import plan_lines
from orchestrator.experiment.plan import cells_of, plan
from orchestrator.experiment.precheck import mistakes
from orchestrator.models.zoo import Zoo
from orchestrator.privacy.attack import Alarm, AttackMetric, LiveAttack, Need, Once, Outside, Role, Victim, When
from orchestrator.privacy.dictionary import dictionary
from orchestrator.registry import ATTACKS
from orchestrator.report.tables import write_tables
from orchestrator.runs.matrix import Step
from orchestrator.schema.samples import PRIVACY, PrivacyRow, append_privacy
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.testbed.project import Project
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[3]
TEXT = "name: w\nmodels: fashion_cnn\nattacks: [toy, memory-scan]\n"
SHARE = AttackMetric(
    "share_read", "share of the model that the toy reads", "tries", main=True, exposure=True,
    alarm=Alarm("the toy reads {value:.0%} of the model", above=0.1),
)  # fmt: skip
SECONDS = AttackMetric("time_needed", "how long that takes", unit="s", role=Role.OUTSIDE)

PROJECT = Project.open(Path(__file__).resolve().parents[3] / "testbed.yaml")


def play(victim: Victim) -> list[PrivacyRow]:
    """Reads half of a file in a realm and all of it elsewhere."""
    part = 1 if victim.world == "realm" else 2
    known = victim.accuracy(victim.model) if victim.accuracy else None
    return [
        victim.about.fraction("toy", "share_read", part, 2, note=f"labels: {known}"),
        victim.about.row("toy", "time_needed", value=1.5),
    ]


def record(**changes: Any) -> LiveAttack:
    facts: dict[str, Any] = {
        "name": "toy", "summary": "reads what it finds", "metrics": (SHARE, SECONDS), "run": play,
        "outside": Outside("Of no account", "Toys have time."),
    }  # fmt: skip
    return LiveAttack(**facts | changes)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with ATTACKS.extended(record()):
        yield


def attacks(text: str = TEXT, **changes: Any) -> Attacks:
    workload = loads(text, "w.yaml", Workload)
    return Attacks(workload, cells_of(workload), "run-x", Path("work"), **changes)


def steps(of: Attacks, world: str = "realm") -> list[Step]:
    return [step for boot in plan(of.workload).values() for step in boot.steps if step.world == world]


def subject(*labels: int) -> Any:
    """A deployed model, of whose inputs these are the right classes."""
    known = tuple((label,) for label in labels)
    deployable = SimpleNamespace(plain=Path("m"))
    tensors = SimpleNamespace(labels=known)
    return SimpleNamespace(deployable=deployable, tensors=tensors, accuracy=lambda _: (1, len(labels)))


def test_the_schema_has_it_while_it_is_registered() -> None:
    schema = Workload.model_json_schema()["properties"]["attacks"]["anyOf"][0]["oneOf"]
    assert {"const": "toy", "description": "reads what it finds"} in schema
    assert loads(TEXT, "w.yaml", Workload).attacks == ("toy", "memory-scan")
    ATTACKS._records.pop("toy")
    with pytest.raises(UsageError, match="expected one of memory-scan, dma, plain-channel, answer-time, found 'toy'"):
        loads(TEXT, "w.yaml", Workload)


def test_the_plan_has_it_and_what_will_not_be_done(tmp_path: Path) -> None:
    workload = loads(TEXT + "boots: 2\n", "w.yaml", Workload)
    lines = plan_lines(workload, tmp_path / "w.yaml", PROJECT)
    told = [line.partition(", then ")[2] for line in lines if ": fashion" in line]
    assert told == ["memory-scan, toy"] * 3 + [""] * 3
    of = attacks(lacking=frozenset({Need.MEMORY_VIEW}))
    assert of.plan(steps(of)[0]) == (
        ", then toy; not memory-scan, which needs a platform that shows all memory of its machine"
    )
    ATTACKS._records["toy"] = record(needs=(Need.LABELS,))
    of = attacks(TEXT + "inputs: {files: [a.npy]}\n")
    assert of.plan(steps(of)[0]) == ", then memory-scan; not toy, which needs the right classes of the inputs"
    of = attacks(TEXT + "inputs: {files: [a.npy], labels: [1]}\n")
    assert of.plan(steps(of)[0]) == ", then memory-scan, toy"


def test_an_offline_one_has_a_line_of_its_own(tmp_path: Path) -> None:
    workload = loads("name: w\nmodels: fashion_cnn\nattacks: answer-time\n", "w.yaml", Workload)
    *measured, last = plan_lines(workload, tmp_path / "w.yaml", PROJECT)
    assert last == "at the end: answer-time"
    assert not any("then" in line for line in measured)


def test_its_worlds_are_checked_before_anything_is_built(tmp_path: Path) -> None:
    project = Project.open(ROOT / "testbed.yaml")

    def told(worlds: str) -> list[str]:
        workload = loads(TEXT + f"worlds: {worlds}\n", "w.yaml", Workload)
        return [each.text for each in mistakes(workload, Zoo.load(ROOT), project.config, tmp_path)]

    assert told("host") == []
    ATTACKS._records["toy"] = record(worlds=(World.VM, World.REALM))
    assert told("host") == ["toy is done in the normal VM and realm only, and `worlds` has none"]
    assert told("[host, vm]") == []


def test_when_and_how_often_it_is_done() -> None:
    two = "name: w\nmodels: fashion_cnn\noutput: [scores, label]\nattacks: [toy, plain-channel]\n"
    of = attacks(two)
    assert [of.now(step) for step in steps(of)] == [["toy"], ["toy"]]
    assert [of.later(step) for step in steps(of)] == [[], ["plain-channel"]]
    assert [of.now(step) for step in steps(of, "host")] == [["toy"], ["toy"]]
    ATTACKS._records["toy"] = record(when=When.GUEST, once=Once.MODEL, worlds=(World.REALM,))
    assert [of.now(step) for step in steps(of)] == [[], []]
    assert [of.later(step) for step in steps(of)] == [[], ["plain-channel", "toy"]]
    assert [of.later(step) for step in steps(of, "host")] == [[], []]


def test_it_is_run_with_what_it_needs() -> None:
    of = attacks(TEXT + "output: label\ntimeouts: {attack: 7}\nseed: 9\n")
    bed: Any = object()
    seen: list[Victim] = []
    ATTACKS._records["toy"] = record(run=lambda victim: [*map(seen.append, [victim]), *play(victim)][1:])
    share, needed = of.run("toy", bed, steps(of)[0], subject(3, 4))
    (victim,) = seen
    assert (victim.testbed, victim.world, victim.limit, victim.seed) == (bed, "realm", 7, 9)
    assert (share.value, share.note, share.in_verdict, share.run_id) == (0.5, "labels: (1, 2)", True, "run-x")
    assert (needed.unit, needed.control, needed.in_verdict) == ("s", False, False)
    assert of.run("toy", bed, steps(of)[0], subject())[0].note == "labels: None"


def test_what_cannot_be_done_leaves_a_row() -> None:
    ATTACKS._records["toy"] = record(needs=(Need.LABELS,))
    of, bed = attacks(), SimpleNamespace()
    (row,) = of.run("toy", bed, steps(of)[0], subject())  # type: ignore[arg-type]
    assert (row.metric, row.status, row.note) == (
        "share_read",
        "skipped",
        "not done: it needs the right classes of the inputs",
    )
    assert of.run("toy", bed, steps(of)[0], subject(1))[0].status == "ok"  # type: ignore[arg-type]
    failed = of.failed("toy", steps(of)[0], OrchError("it broke"))
    assert (failed.metric, failed.status, failed.note, failed.in_verdict) == ("share_read", "error", "it broke", True)


@pytest.mark.parametrize(
    ("gives", "words"),
    [([], "it gave no row"), ([("dma", "realm_read_it")], "it gave rows of another attack")],
)
def test_an_attack_that_says_nothing_of_itself_is_an_error(gives: list[tuple[str, str]], words: str) -> None:
    ATTACKS._records["toy"] = record(run=lambda victim: [victim.about.row(*each, value=0) for each in gives])
    of: Any = attacks()
    with pytest.raises(OrchError, match=words):
        of.run("toy", None, steps(of)[0], subject())


def test_a_step_that_failed_has_a_row_for_each_attack_it_did_not_come_to(tmp_path: Path) -> None:
    of: Any = attacks(TEXT.replace("toy,", "toy, plain-channel,"))
    step, table = steps(of)[0], tmp_path / "privacy.csv"
    found = of.left(step, "the guest ended", table)
    assert [row.attack for row in found] == ["memory-scan", "toy", "plain-channel"]
    assert {(row.status, row.note) for row in found} == {("skipped", "not done: the step has failed: the guest ended")}
    append_privacy(table, of.run("toy", None, steps(of, "vm")[0], subject()))
    assert of.left(step, "the guest ended", table) == found  # what is of another world is of no account
    append_privacy(table, of.run("toy", None, step, subject()))
    assert [row.attack for row in of.left(step, "it ended", table)] == ["memory-scan", "plain-channel"]
    append_privacy(table, [of.failed("memory-scan", step, OrchError("it broke"))])
    assert [row.attack for row in of.left(step, "it ended", table)] == ["plain-channel"]
    later = loads(TEXT + "boots: 2\n", "w.yaml", Workload)
    second: Any = Attacks(later, cells_of(later), "run-x", tmp_path)
    assert second.left(steps(second)[1], "it ended", tmp_path / "none.csv") == []  # only the first boot is attacked


@pytest.mark.usefixtures("unrendered")
def test_rows_alarms_report_and_dictionary_have_it(tmp_path: Path) -> None:
    run = Plan(cells=(MadeCell(),), boots=1, iterations=2, warmups=0)
    folder = make_run(tmp_path, run, privacy=False)
    of: Any = attacks()
    for world in ("realm", "vm"):
        rows = of.run("toy", None, steps(of, world)[0], subject())
        rows = [row.model_copy(update={"run_id": run.run_id, "cell_id": run.cells[0].cell_id}) for row in rows]
        append_privacy(folder / "privacy.csv", rows)
    assert [row.metric for row in PRIVACY.rows(folder / "privacy.csv")] == ["share_read", "time_needed"] * 2
    written = write_tables(folder)
    assert [line for line in written.alarms if line.startswith("toy: ")] == [
        f"toy: {_name(written.alarms)} in realm: the toy reads 50% of the model"
    ]
    page = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("toy: share read", "What the malicious host gets, by world", "Of no account", "Toys have time."):
        assert words in page, words
    assert "no realm was searched" not in (folder / "junit.xml").read_text(encoding="utf-8")
    assert "the toy reads 50% of the model" in (folder / "junit.xml").read_text(encoding="utf-8")
    assert (
        "| `toy` | `share_read` | main, verdict | `1` | share of the model that the toy reads | tries | above 0.1 |\n"
        "| | `time_needed` | outside | `s` | how long that takes | - | - |"
    ) in dictionary()
    ATTACKS._records.pop("toy")
    again = write_tables(folder)  # a run of an extension that is not here any more
    assert not any("toy" in line for line in again.alarms)
    assert "share read" in (folder / "report.html").read_text(encoding="utf-8")


def _name(alarms: tuple[str, ...]) -> str:
    """What the report calls the cell."""
    (line,) = (line for line in alarms if line.startswith("toy: "))
    return line.split(": ")[1].removesuffix(" in realm")
