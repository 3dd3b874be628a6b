# SPDX-License-Identifier: Apache-2.0
"""Attack `answer-time`: can the host tell inputs apart by what it counts of an answer? See docs/privacy.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.privacy.attack import AttackMetric, Finished, Need, OfflineAttack, Outside, Role
from orchestrator.privacy.rows import released, skipped_row
from orchestrator.privacy.telling import Answers, least_p, medians_of, numbered, range_within, tell_apart, told_apart
from orchestrator.runs.frames import chosen, usable
from orchestrator.words import INFER, Component, Method, World

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.privacy.rows import About
    from orchestrator.runs.reading import Run
    from orchestrator.schema.samples import PrivacyRow

NAME = "answer-time"
LEVEL = 0.05  # of p: up to it inputs count as told apart
MOST = 8192  # answers that are looked at; of more, the first
Source = tuple[str, tuple[Component, ...]]
SEEN: dict[str, Source] = {
    "time": ("instructions", (Component.ALL,)),
    "host": ("instructions", (Component.HOST_KERNEL, Component.VMM)),
    "exits": ("host_exits", (Component.ALL,)),
}
"""What a host sees of a guest's answer: how long it takes, what it executes itself meanwhile, how often it is called.

Instructions of the whole machine stand for time, which an emulator does not have.
"""
_COLUMNS = (*("phase", "boot_id", "iteration", "is_warmup", "component", "metric", "value", "method", "status"),)
_OWN, _LEFT = "own", "left"
_JUDGES: dict[str, Source] = {
    _OWN: ("instructions", (Component.GUEST_USER,)),
    _LEFT: ("exits", (Component.ALL,)),
}
"""What no host sees, and what says whether it is the input that made a difference: the answer's own instructions, which
interrupts change by one an exit at most."""


@dataclass(frozen=True)
class Observed:
    """The answers of one cell in one world: what the host sees of them, what they executed themselves.

    `left`: how often the guest was left during one of them, at most.
    """

    seen: Answers
    own: Answers
    left: float


def run_answer_time(finished: Finished) -> list[PrivacyRow]:
    """The rows about one cell in one world; a skipped one if there is not enough to compare."""
    run, about = finished.run, finished.about
    samples = chosen(run.samples, _COLUMNS, cell_id=about.cell_id, world=about.world)
    count = inputs_of(run, about.cell_id, samples)
    if count is None:
        return [skipped_row(about, NAME, "the run does not say how many inputs there were")]
    observed = observe(samples, count)
    if observed is None:
        return [skipped_row(about, NAME, f"2 inputs have to be seen twice or more, of {count} that there were")]
    seed = [finished.seed, *about.cell_id.encode(), *about.world.encode()]
    return _rows(about, observed, np.random.default_rng(seed))


def inputs_of(run: Run, cell_id: str, samples: pd.DataFrame) -> int | None:
    """How many inputs a cell was given in turn, as run.yaml says.

    Older ones only say how many were asked for of a data set, which may have fewer: those are believed if the
    answers that were released come again after as many. None if it is not known.
    """
    cell = next((each for each in run.info.cells if each.cell_id == cell_id), None)
    if cell is not None and cell.inputs is not None:
        return cell.inputs
    asked = run.info.workload.get("inputs", {})
    path = run.folder / "outputs" / f"{cell_id}.jsonl"
    if asked.get("files") or "count" not in asked or not path.is_file():
        return None
    given, count = path.read_text(encoding="utf-8").splitlines()[_warmups(samples) :], int(asked["count"])
    return count if len(given) > count and given[count:] == given[:-count] else None


def observe(samples: pd.DataFrame, count: int) -> Observed | None:
    """The answers of one cell in one world, in order, of `count` inputs; None if fewer than two came twice.

    After the warm-ups the inputs come in turn, from the first one on in each boot.
    """
    table = counted(samples)
    place = table["iteration"] - _warmups(samples)
    table = table.assign(input=place % count, round=place // count).head(MOST)
    table = table[table.groupby("input")["time"].transform("size") >= 2]
    if table["input"].nunique() < 2:
        return None

    def answers(columns: tuple[str, ...]) -> Answers:
        rounds = table["boot_id"] * (table["round"].max() + 1) + table["round"]
        return Answers(
            columns=columns,
            counts=table[list(columns)].to_numpy(np.float64),
            inputs=numbered(table["input"].to_numpy(np.int64)),
            boots=numbered(table["boot_id"].to_numpy(np.int64)),
            rounds=numbered(rounds.to_numpy(np.int64)),
        )

    seen = tuple(name for name in SEEN if name in table)
    return Observed(answers(seen), answers((_OWN,)), float(table[_LEFT].max()))


def counted(samples: pd.DataFrame) -> pd.DataFrame:
    """What was counted of each inference, by `boot_id` and `iteration`: a column for each of SEEN and of _JUDGES.

    Of the phase `infer` alone: what it costs to read an input or to write an answer depends on where it stands in the
    runner's files. What is not there of each inference is left out, but for the judges; without these, none is there.
    """
    rows = usable(samples, None, phase=INFER, method=Method.TCG_PLUGIN)
    rows = rows[rows["iteration"].notna()]
    columns: dict[str, pd.Series[float]] = {}
    for name, (metric, components) in (SEEN | _JUDGES).items():
        mine = rows[(rows["metric"] == metric) & rows["component"].isin([str(each) for each in components])]
        groups = mine.groupby(["iteration", "boot_id"])["value"]
        columns[name] = groups.sum()[groups.size() == len(components)]
    table = columns["time"].to_frame("time")
    for name in _JUDGES:
        table = table.join(columns[name].rename(name), how="inner")
    for name in SEEN:
        if len(table) and table.index.isin(columns[name].index).all():
            table[name] = columns[name]
    return table.reset_index()


def _warmups(samples: pd.DataFrame) -> int:
    """How many inferences came before those that count."""
    warm = samples.loc[samples["is_warmup"], "iteration"].dropna()
    return 0 if warm.empty else int(warm.max()) + 1


def _rows(about: About, observed: Observed, random: np.random.Generator) -> list[PrivacyRow]:
    seen, number = observed.seen, observed.seen.number
    told, own = tell_apart(seen, random), tell_apart(observed.own, random)
    few = least_p(seen) > LEVEL
    medians = medians_of(observed.own)
    between = float(np.ptp(medians))
    depends = between > observed.left and own.p <= LEVEL
    word = "told apart" if depends else "by ticks alone"
    word = "undecided" if few else word if told.p <= LEVEL else "not told apart"
    constant = "constant" if between <= observed.left else "undecided" if few else "within the noise"
    alone = {name: told_apart(seen.only(name)) for name in seen.columns}
    return [
        about.fraction(
            NAME,
            "told_apart",
            told.right,
            told.tries,
            access=released(about),
            verdict=word,
            note=f"{number} inputs: by guessing {1 / number:.1%} are right; p = {told.p:.3g}",
        ),
        *(about.fraction(NAME, f"told_apart_by_{name}", right, told.tries) for name, right in alone.items()),
        about.row(NAME, "p_value", value=told.p, attempted=told.shuffles),
        about.row(
            NAME,
            "spread_between_inputs",
            value=between / (float(np.median(medians)) or 1.0),
            attempted=number,
            verdict="depends on the input" if depends else constant,
            note=f"{between:,.0f} instructions; interrupts make {observed.left:,.0f} at most; p = {own.p:.3g}",
        ),
        about.row(NAME, "spread_within_inputs", value=range_within(seen.only("time")), attempted=told.tries),
        about.row(NAME, "told_apart_by_chance", value=told.chance, attempted=told.shuffles),
    ]


_ANSWERS, _SHUFFLES = "answers", "shuffles of the inputs"
RECORD = OfflineAttack(
    name=NAME,
    summary="on a finished run: whether the host tells inputs apart by what it counts of an answer",
    metrics=(
        AttackMetric(
            "told_apart",
            "fraction of answers whose input is named rightly by all that the host counts; `verdict` `told apart`, "
            "`by ticks alone`, `not told apart`, or `undecided` with too few rounds",
            _ANSWERS,
            main=True,
            role=Role.OUTSIDE,
        ),
        AttackMetric(
            "told_apart_by_time", "the same by all instructions of the machine alone", _ANSWERS, role=Role.OUTSIDE
        ),
        AttackMetric(
            "told_apart_by_host",
            "the same by the instructions of host kernel and VMM alone",
            _ANSWERS,
            role=Role.OUTSIDE,
        ),
        AttackMetric(
            "told_apart_by_exits", "the same by the exits that reach the host alone", _ANSWERS, role=Role.OUTSIDE
        ),
        AttackMetric(
            "p_value",
            "how probable that many right names are if inputs are shuffled",
            _SHUFFLES,
            role=Role.OUTSIDE,
            plain=True,
        ),
        AttackMetric(
            "spread_between_inputs",
            "range over the inputs of their median EL0 instructions, over the median; `verdict` `constant` (but for "
            "one an exit), `depends on the input`, `within the noise` or `undecided`",
            "inputs",
            role=Role.OUTSIDE,
        ),
        AttackMetric(
            "spread_within_inputs",
            "range of all instructions at one and the same input, over the median; the median of all inputs",
            _ANSWERS,
            role=Role.OUTSIDE,
        ),
        AttackMetric(
            "told_apart_by_chance",
            "mean fraction that is named rightly when the inputs are shuffled",
            _SHUFFLES,
            role=Role.CONTROL,
        ),
    ),
    worlds=(World.REALM, World.VM),  # on the bare host, the host sees the input itself
    needs=(Need.COUNTS,),
    outside=Outside(
        "Side channels, outside the verdict on CCA",
        "What a host learns from how long an answer takes is the owner's to prevent; CCA does not promise it. "
        "Instructions stand for time here: caches and branch prediction, which hardware adds, are not in them.",
    ),
    run=run_answer_time,
)
