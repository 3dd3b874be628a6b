# SPDX-License-Identifier: Apache-2.0
"""JUnit XML of a run and of a comparison, which CI systems show: passed, failed, error and skipped stay apart."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from orchestrator.analysis.compare import CompareRow, Comparison
from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.privacy.attack import is_exposure
from orchestrator.report.compare_page import enough_for
from orchestrator.report.sections.privacy_alarms import privacy_alarms
from orchestrator.runs.events import BootBegun, Part, StepDone
from orchestrator.runs.reading import Run
from orchestrator.runs.run_file import StepFacts
from orchestrator.words import INFER, Status, Verdict, World

JUNIT = "junit.xml"
JUNIT_COMPARE = "junit-compare.xml"
_RESULTS = {Status.FAILED: Failure, Status.ERROR: Error, Status.SKIPPED: Skipped}
_MOST = 1000  # differences that are listed of a cell
_PLACE = ("cell_id", "world", "boot_id")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


def run_xml(facts: RunFacts) -> bytes:
    """A suite with a case for each step, and one for what must hold whatever was measured."""
    run = facts.run
    steps, checks = TestSuite("steps"), TestSuite("checks")
    took = _seconds(run)
    for step in run.info.steps:
        place = tuple(str(getattr(step, name)) for name in _PLACE)
        case = TestCase(
            _text(f"{step.cell_id}, boot {step.boot_id}"), _text(f"{run.info.name}.{step.world}"), took.get(place)
        )
        steps.add_testcase(_ended(case, step))
    checks.add_testcases([_whole(run), _el0(facts), _sums(facts), _privacy(facts)])
    overheads = TestSuite("overheads")
    overheads.add_property("estimator", ESTIMATOR)
    overheads.add_testcases([_overhead(run, cell) for cell in facts.cells if (World.REALM, INFER) in cell.over_vm])
    return _xml([steps, checks, overheads])


def comparison_xml(a: Run, b: Run, comparison: Comparison) -> bytes:
    """A case for each ratio: a failure if B is slower or has lost an inference, skipped if it could not be compared."""
    suite = TestSuite(_text(f"{b.info.run_id} against {a.info.run_id}"))
    suite.add_property("estimator", ESTIMATOR)
    for row in comparison.rows:
        case = TestCase(f"{row.phase}: instructions", f"{row.cell_id}.{row.world}")
        told = _ratio(row)
        if row.verdict is Verdict.SLOWER:
            case.result = [Failure(told)]
        elif row.verdict is Verdict.TOO_FEW_TICKS:
            case.result = [Skipped(f"{told}; {enough_for(row)}")]
        else:
            case.system_out = told
        suite.add_testcase(case)
    for lost in comparison.lost:
        suite.add_testcase(_case(b, f"{lost}: an inference", ["is not there any more"]))
    for refused in comparison.refused:
        case = TestCase(_text(refused), _text(b.info.name))
        case.result = [Skipped("not comparable")]
        suite.add_testcase(case)
    return _xml([suite])


def publish(results: Path, run: Path | None) -> None:
    """The files of the newest night at a place that CI systems can name, `results`; without a run there are none.

    Raises UsageError if `results` can hold none.
    """
    for name in (JUNIT, JUNIT_COMPARE):
        try:
            (results / name).unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{results}: no folder for runs: {error.strerror}", hint="--results DIR") from None
        if run is not None and (run / name).exists():
            replace_file(results / name, (run / name).read_bytes())


def _seconds(run: Run) -> dict[tuple[str, ...], float]:
    """What each step took on the build computer, s, by `_PLACE`; of one that was repeated, the last time."""
    running: dict[str, float] = defaultdict(float)  # by the step's key
    ended = {}
    for event in run.events:
        if isinstance(event, BootBegun):
            running.clear()  # what a killed invocation had begun
        elif isinstance(event, StepDone) and event.key in running:  # else it is retracted
            place = tuple(str(getattr(event, name)) for name in _PLACE)
            ended[place] = round(running.pop(event.key), 3)
        elif isinstance(event, Part) and event.step is not None:
            running[event.step] += event.seconds
    return ended


def _overhead(run: Run, cell: CellFacts) -> TestCase:
    """A realm's overhead, which is no failure however large; skipped where there are too few ticks to say it."""
    case = TestCase(_text(f"realm over vm: {cell.line}"), _text(f"{run.info.name}.{cell.cell_id}"))
    ratio = cell.over_vm[World.REALM, INFER]
    told = _told(cell.verdict, ratio.estimate, ratio.low, ratio.high, run.info.margin)
    if cell.verdict is Verdict.TOO_FEW_TICKS and cell.ticks is not None:
        case.result = [Skipped(f"{told}; {cell.ticks.needed:,} {cell.ticks.of} would do")]
    else:
        case.system_out = told
    return case


def _ended(case: TestCase, step: StepFacts) -> TestCase:
    kind = _RESULTS.get(Status(step.status)) if step.status in set(Status) else Error
    note = _text(step.note or "")
    if kind is not None:
        case.result = [kind(note or "no reason given")]
    elif note:
        case.system_out = note
    return case


def _case(run: Run, name: str, problems: list[str], nothing: str | None = None) -> TestCase:
    """A check that failed for `problems`, or was skipped because of `nothing`; else passed."""
    case = TestCase(_text(name), _text(run.info.name))
    if problems:
        failure = Failure(_text(problems[0]))
        failure.text = _text("\n".join(problems))
        case.result = [failure]
    elif nothing:
        case.result = [Skipped(nothing)]
    return case


def _whole(run: Run) -> TestCase:
    over = run.info.ended_utc is not None
    problems = [run.info.cause] if run.info.cause else [] if over else [f"it is {run.info.status}"]
    return _case(run, "the run reached its end", problems)


def _el0(facts: RunFacts) -> TestCase:
    compared = [each for each in facts.equalities if each.compared]
    problems = [
        f"{facts.name(cell.cell_id)}: boots {each.boots}, {each.phase}, iteration {each.iteration}: "
        f"vm {each.vm:,}, realm {each.realm:,}"
        for cell in compared
        for each in cell.differences(_MOST, explained=False)
    ]
    problems += [
        f"{facts.name(cell.cell_id)}: {cell.unexplained - _MOST:,} more"
        for cell in compared
        if cell.unexplained > _MOST
    ]
    name = "instructions at EL0 of vm and realm are equal, but for one an exit"
    return _case(facts.run, name, problems, None if compared else "vm and realm have nothing in common")


def _sums(facts: RunFacts) -> TestCase:
    whole, both, gap = facts.sums
    problems = [f"{both - whole} of {both} do not, by up to {gap:,.0f}"] if whole < both else []
    return _case(facts.run, "components add up to all instructions", problems, None if both else "no instructions")


def _privacy(facts: RunFacts) -> TestCase:
    """Searches of realms alone: what they find in the other worlds is no failure."""
    rows = facts.run.privacy
    rows = rows[rows["world"] == World.REALM]
    bad = rows[rows["status"].isin([Status.FAILED, Status.ERROR])].drop_duplicates(["attack", "cell_id"])
    failed = [f"{row['attack']}: {row['status']}: {row['note']}" for row in bad.to_dict("records")]
    done = rows[rows["in_verdict"] & (rows["status"] == Status.OK)]
    searched = any(is_exposure(*names) for names in zip(done["attack"], done["metric"], strict=True))
    problems = list(dict.fromkeys([*privacy_alarms(facts), *failed]))
    nothing = None if searched else "no realm was searched"
    return _case(facts.run, "the host gets nothing of the realm", problems, nothing)


def _ratio(row: CompareRow) -> str:
    return _told(row.verdict, row.ratio, row.ci_low, row.ci_high, row.margin)


def _told(verdict: Verdict | None, ratio: float | None, low: float | None, high: float | None, margin: float) -> str:
    """A verdict with its ratio and interval."""
    if ratio is None:
        return f"{verdict}: no ratio"
    ends = "" if low is None or high is None else f" [{low:.4f}, {high:.4f}]"
    return f"{verdict}: {ratio:.4f}{ends}, margin {margin:g}"


def _text(words: str) -> str:
    """Without characters that no XML can hold: notes have consoles' words."""
    return _NO_XML.sub("\ufffd", words)


def _xml(suites: Iterable[TestSuite]) -> bytes:
    document = JUnitXml("orch")
    for suite in suites:
        suite.update_statistics()  # type: ignore[no-untyped-call]
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    stream = io.BytesIO()
    document.write(stream, pretty=True)
    return stream.getvalue()
