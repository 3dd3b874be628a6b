# SPDX-License-Identifier: Apache-2.0
"""Attack `answer-time`: can the host tell inputs apart by what it counts of an answer? See docs/privacy.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestrator.privacy.attack import AttackMetric, Finished, Need, OfflineAttack, Outside, Role
from orchestrator.privacy.rows import released, skipped_row
from orchestrator.privacy.telling import Answers, least_p, numbered, spreads, tell_apart, told_apart
from orchestrator.runs.frames import usable
from orchestrator.words import PHASES, Component, Method, World

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.privacy.rows import About
    from orchestrator.runs.reading import Run
    from orchestrator.schema.samples import PrivacyRow

NAME = "answer-time"
LEVEL = 0.05  # of p: below it inputs count as told apart
MOST = 8192  # answers that are looked at; of more, the first
SEEN: dict[str, tuple[str, tuple[Component, ...]]] = {
    "time": ("instructions", (Component.ALL,)),
    "host": ("instructions", (Component.HOST_KERNEL, Component.VMM)),
    "exits": ("host_exits", (Component.ALL,)),
}
"""What a host sees of a guest's answer: how long it takes, what it executes itself meanwhile, how often it is called.

Instructions of the whole machine stand for time, which an emulator does not have.
"""


def run_answer_time(finished: Finished) -> list[PrivacyRow]:
    """The rows about one cell in one world; a skipped one if there is not enough to compare."""
    run, about = finished.run, finished.about
    samples = run.samples[(run.samples["cell_id"] == about.cell_id) & (run.samples["world"] == about.world)]
    count = inputs_of(run, about.cell_id, samples)
    if count is None:
        return [skipped_row(about, NAME, "the run does not say how many inputs there were")]
    answers = answers_of(samples, count)
    if answers is None:
        return [skipped_row(about, NAME, f"2 inputs have to be seen twice or more, of {count} that there were")]
    seed = [finished.seed, *about.cell_id.encode(), *about.world.encode()]
    return _rows(about, answers, np.random.default_rng(seed))


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


def answers_of(samples: pd.DataFrame, count: int) -> Answers | None:
    """The answers of one cell in one world, in order, of `count` inputs; None if fewer than two came twice.

    After the warm-ups the inputs come in turn, from the first one on in each boot.
    """
    table = counted(samples)
    place = table["iteration"] - _warmups(samples)
    table = table.assign(input=place % count, round=place // count).head(MOST)
    table = table[table.groupby("input")["time"].transform("size") >= 2]
    if table["input"].nunique() < 2:
        return None
    columns = tuple(name for name in SEEN if name in table)
    return Answers(
        columns=columns,
        counts=table[list(columns)].to_numpy(np.float64),
        inputs=numbered(table["input"].to_numpy(np.int64)),
        boots=numbered(table["boot_id"].to_numpy(np.int64)),
        rounds=numbered((table["boot_id"] * (table["round"].max() + 1) + table["round"]).to_numpy(np.int64)),
    )


def counted(samples: pd.DataFrame) -> pd.DataFrame:
    """What the host sees of each answer: a row for each, by `boot_id` and `iteration`, with a column for each of SEEN.

    An answer is all phases that each inference has. What is not there of each answer is left out.
    """
    phases = [str(phase) for phase in PHASES.values() if phase.repeats and phase.in_total]
    rows = usable(samples)
    rows = rows[rows["phase"].isin(phases) & (rows["method"] == Method.TCG_PLUGIN) & rows["iteration"].notna()]
    columns: dict[str, pd.Series[float]] = {}
    for name, (metric, components) in SEEN.items():
        mine = rows[(rows["metric"] == metric) & rows["component"].isin([str(each) for each in components])]
        groups = mine.groupby(["iteration", "boot_id"])["value"]
        whole = groups.size() == len(phases) * len(components)
        columns[name] = groups.sum()[whole]
    table = columns["time"].to_frame("time")
    for name, column in columns.items():
        if len(column) and table.index.isin(column.index).all():
            table[name] = column
    return table.reset_index()


def _warmups(samples: pd.DataFrame) -> int:
    """How many inferences came before those that count."""
    warm = samples.loc[samples["is_warmup"], "iteration"].dropna()
    return 0 if warm.empty else int(warm.max()) + 1


def _rows(about: About, answers: Answers, random: np.random.Generator) -> list[PrivacyRow]:
    told, time = tell_apart(answers, random), tell_apart(answers.only("time"), random)
    few, number = least_p(answers) > LEVEL, answers.number
    between, within = spreads(answers.only("time"))
    rows = [
        about.fraction(
            NAME,
            "told_apart",
            told.right,
            told.tries,
            access=released(about),
            verdict="undecided" if few else "told apart" if told.p <= LEVEL else "not told apart",
            note=f"{number} inputs: by guessing {1 / number:.1%} are right; p = {told.p:.3g}",
        )
    ]
    for name in answers.columns:
        rows.append(about.fraction(NAME, f"told_apart_by_{name}", told_apart(answers.only(name)), told.tries))
    word = "depends on the input" if time.p <= LEVEL else "within the noise"
    word = "constant" if between == within == 0 else "undecided" if few else word
    return [
        *rows,
        about.row(NAME, "p_value", value=told.p, attempted=told.shuffles),
        about.row(NAME, "p_value_of_time", value=time.p, attempted=time.shuffles),
        about.row(NAME, "spread_between_inputs", value=between, attempted=number, verdict=word),
        about.row(NAME, "spread_within_inputs", value=within, attempted=told.tries),
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
            "`not told apart`, or `undecided` with too few rounds",
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
            "p_value", "how probable that many right names are by chance: of told_apart", _SHUFFLES, role=Role.OUTSIDE
        ),
        AttackMetric("p_value_of_time", "the same of told_apart_by_time", _SHUFFLES, role=Role.OUTSIDE),
        AttackMetric(
            "spread_between_inputs",
            "range of the inputs' median instructions over the median; `verdict` `constant`, `depends on the input`, "
            "`within the noise` or `undecided`",
            "inputs",
            role=Role.OUTSIDE,
        ),
        AttackMetric(
            "spread_within_inputs",
            "range of the instructions of one input, its median over the inputs, over the median",
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
