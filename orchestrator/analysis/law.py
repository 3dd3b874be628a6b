# SPDX-License-Identifier: Apache-2.0
"""The law of exits: what ticks cost by component and world, fitted to a few cells, predicts the overhead of others.

An inference of I instructions, of whomever, lasts I · 2^shift ns, so ticks come I · rate times, whatever the model. A
component executes its own work and, each time, the price of the tick with all the exits that it brings about:

    I_k = W_k + I · Σ_j rate_j · price_jk        (W_k = 0 outside the guest, and the same in VM and realm)

Summed over components and solved for I, own work falls out of the ratio: with a = Σ_j rate_j · Σ_k price_jk,

    realm / vm = (1 - a_vm) / (1 - a_realm)

docs/analysis.md says how it is fitted, what its interval is made of, and how well it has predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.bootstrap import SEED, Floats, student
from orchestrator.analysis.calibration import CellPoints, Point
from orchestrator.analysis.decompose import INSIDE, PARTS
from orchestrator.analysis.estimator import ESTIMATOR, Interval, Kind
from orchestrator.errors import UsageError
from orchestrator.schema import law as schema
from orchestrator.schema.law import Calibration, Law, Price, Rates, read_law
from orchestrator.words import Component, World

KINDS: tuple[schema.Kind, ...] = get_args(schema.Kind)
WORLDS = (World.VM, World.REALM)
_REPLICATES = 400
_PHASE = 0.4  # ticks: how far a boot's number of ticks is from the expected one, about (√(1/6): a phase drawn evenly)
_SCATTER = 0.02  # how well prices repeat from cell to cell: what keeps one long cell from outweighing all others
_SECOND = 100.0  # Hz: brings the column of seconds to the size of the others


@dataclass(frozen=True)
class _Problem:
    """The least-squares problem of some points: instructions a tick, by component, for each price and own work."""

    points: Sequence[Point]
    kinds: tuple[schema.Kind, ...]
    models: tuple[str, ...] = field(init=False)
    prices: Floats = field(init=False)  # (points, worlds by kinds)
    works: Floats = field(init=False)  # (points, models)
    values: Floats = field(init=False)  # (points, PARTS)
    weights: Floats = field(init=False)
    apart: bool = field(init=False)
    """Whether own work can be told from what ticks make the guest execute: a model was seen at two rates."""

    def __post_init__(self) -> None:
        size = np.array([point.total * point.rates.ticks for point in self.points])
        models = tuple(dict.fromkeys(point.model for point in self.points))
        shares = np.array(
            [[point.rates.each(kind) / point.rates.ticks for kind in self.kinds] for point in self.points]
        )
        mine = np.array([[point.world is world for world in WORLDS] for point in self.points])
        parts = np.array([[point.parts[part] for part in PARTS] for point in self.points])
        own = np.array([[point.model == model for model in models] for point in self.points])
        ticks = np.array([point.ticks for point in self.points])
        made: dict[str, Any] = {
            "models": models,
            "prices": (mine[:, :, None] * shares[:, None, :]).reshape(len(size), -1),
            "works": own / size[:, None],
            "values": parts / size[:, None],
            "weights": ((_PHASE / ticks) ** 2 + _SCATTER**2) ** -0.5,
        }
        # By rates alone: that boots and worlds differ by some ticks is no second rate.
        rates = np.array([point.rates.ticks for point in self.points])
        columns = np.hstack([shares, own * rates.max() / rates[:, None]])
        made["apart"] = _rank(columns / np.abs(columns).max(axis=0)) == columns.shape[1]
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def solve(self, times: Floats | None = None) -> tuple[Floats, Floats]:
        """Prices as (worlds by kinds, PARTS) and own work as (models, PARTS), with each point so many `times`.

        Where own work cannot be told apart, all that the guest executes is its own.
        """
        weights = self.weights if times is None else self.weights * np.sqrt(times)
        prices, works = np.zeros((self.prices.shape[1], len(PARTS))), np.zeros((len(self.models), len(PARTS)))
        for place, part in enumerate(PARTS):
            priced = part not in INSIDE or self.apart
            columns = [*([self.prices] if priced else []), *([self.works] if part in INSIDE else [])]
            problem = np.hstack(columns) * weights[:, None]
            scale = np.abs(problem).max(axis=0)
            found = np.linalg.lstsq(problem / scale, self.values[:, place] * weights, rcond=None)[0] / scale
            if priced:
                prices[:, place] = found[: len(prices)]
            if part in INSIDE:
                works[:, place] = found[-len(works) :]
        return prices, works


def fit(cells: Sequence[CellPoints], *, revision: str | None = None, stacks: Sequence[str] = ()) -> Law:
    """The law of some cells; raises UsageError for none."""
    if not cells:
        raise UsageError("no cell to fit the law of exits to", hint="it takes counted inferences in VM and realm")
    kinds = _kinds(cells)
    problem = _Problem([point for cell in cells for point in cell.points], kinds)
    prices, works = problem.solve()
    replicates = _replicates(problem)
    others = [_by_the_others(cells, cell, kinds) for cell in cells]
    errors = [
        (other - cell.measured) / cell.measured for cell, other in zip(cells, others, strict=True) if other is not None
    ]
    return Law(
        estimator=ESTIMATOR,
        revision=revision,
        stacks=tuple(dict.fromkeys(stacks)),
        cells=tuple(_calibration(cell, other) for cell, other in zip(cells, others, strict=True)),
        kinds=kinds,
        prices=tuple(_prices(kinds, prices, *np.quantile(replicates, [0.025, 0.975], axis=0))),
        work={model: float(work) for model, work in zip(problem.models, works.sum(axis=1), strict=True)},
        covariance=_rows(np.cov(replicates.sum(axis=2), rowvar=False)),
        error=float(np.sqrt(np.mean(np.square(errors)))) if errors else None,
        freedom=max(0, len(errors) - 1),
    )


def _prices(kinds: Sequence[schema.Kind], prices: Floats, low: Floats, high: Floats) -> Iterator[Price]:
    """Prices with their ends, each as (worlds by kinds, PARTS)."""
    for row, (world, kind) in enumerate((world, kind) for world in WORLDS for kind in kinds):
        for column, part in enumerate(PARTS):
            found, *ends = (float(each[row, column]) for each in (prices, low, high))
            yield Price(world=world, kind=kind, component=part, instructions=found, low=ends[0], high=ends[1])


def _kinds(cells: Sequence[CellPoints]) -> tuple[schema.Kind, ...]:
    """As many kinds as these cells can tell apart, by their rates; what comes by the second is the last of them."""
    vectors = np.array([_vector(cell.rates) for cell in cells])
    found = (KINDS[:size] for size in range(len(KINDS), 0, -1) if _rank(vectors[:, :size]) == size)
    return next(found, KINDS[:1])


def _vector(rates: Rates) -> Floats:
    """How often each kind comes for each tick, as columns of about the same size."""
    each = np.array([rates.each(kind) for kind in KINDS])
    each[KINDS.index("second")] *= _SECOND
    return np.asarray(each / rates.ticks)


def _rank(vectors: Floats) -> int:
    return int(np.linalg.matrix_rank(vectors, tol=1e-6))


def _replicates(problem: _Problem) -> NDArray[np.float64]:
    """Prices with the boots of each cell drawn anew, those of VM and realm together: (replicates, prices, PARTS)."""
    random = np.random.default_rng(SEED)
    places = [(point.cell, point.boot) for point in problem.points]
    boots = {place: number for number, place in enumerate(dict.fromkeys(places))}
    mine = np.array([boots[place] for place in places])
    cells: dict[str, list[int]] = {}
    for (cell, _), number in boots.items():
        cells.setdefault(cell, []).append(number)
    found = []
    for _ in range(_REPLICATES):
        drawn = np.concatenate([random.choice(numbers, len(numbers)) for numbers in cells.values()])
        found.append(problem.solve(np.bincount(drawn, minlength=len(boots))[mine].astype(np.float64))[0])
    return np.array(found)


def _by_the_others(cells: Sequence[CellPoints], cell: CellPoints, kinds: tuple[schema.Kind, ...]) -> float | None:
    """The overhead of a cell by the law of those with other rates or, if these cannot tell its kinds, of all others.

    None if those cannot either.
    """
    elsewhere = [each for each in cells if each.rates != cell.rates]
    for others in (elsewhere, [each for each in cells if each is not cell]):
        vectors = np.array([_vector(each.rates)[: len(kinds)] for each in others])
        if others and _rank(vectors) == len(kinds):
            prices, _ = _Problem([point for each in others for point in each.points], kinds).solve()
            return _ratio(prices.sum(axis=1), kinds, cell.rates)[0] - 1
    return None


def _ratio(totals: Floats, kinds: Sequence[schema.Kind], rates: Rates) -> tuple[float, Floats]:
    """Realm over VM for prices summed over components, and its gradient by these."""
    each = np.array([rates.each(kind) for kind in kinds])
    vm, realm = (1 - float(each @ side) for side in np.split(totals, len(WORLDS)))
    return vm / realm, np.concatenate([-each / realm, each * vm / realm**2])


def _calibration(cell: CellPoints, other: float | None) -> Calibration:
    points = cell.points
    return Calibration(
        run_id=cell.run_id,
        cell_id=cell.cell_id,
        model=cell.model,
        rates=cell.rates,
        boots=len({point.boot for point in points}),
        iterations=max(point.iterations for point in points),
        measured=cell.measured,
        predicted=other,
    )


def _rows(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in np.atleast_2d(matrix))


@dataclass(frozen=True)
class Prediction:
    """What the law says of rates that need not have been seen: realm over VM, and where in the realm that comes from.

    `extrapolates`: no mixture of the law's cells has such rates. `points` are percentage points of the VM's work by
    component. `ticks` are those of the rarer kind to be expected in one inference of a model whose work is known.
    """

    rates: Rates
    ratio: Interval
    extrapolates: bool
    points: dict[Component, float]
    vm: float | None
    realm: float | None

    @property
    def ticks(self) -> float | None:
        """Of host or guest, whichever are rarer, in an inference of the VM; None where its length is not known."""
        rarer = min(self.rates.each("host tick"), self.rates.each("guest tick"))
        return None if self.vm is None else self.vm * rarer


def predict(law: Law, rates: Rates, model: str | None = None) -> Prediction:
    """The overhead at these rates; the interval covers boots that were drawn otherwise, and the law's own error."""
    totals = np.array([law.total(world, kind) for world in WORLDS for kind in law.kinds])
    ratio, gradient = _ratio(totals, law.kinds, rates)
    spread = float(gradient @ np.array(law.covariance) @ gradient) ** 0.5 * 1.96
    wrong = student(law.freedom) * law.error * abs(ratio - 1) if law.error is not None and law.freedom else 0.0
    half = float(np.hypot(spread, wrong))
    known = law.error is not None and law.freedom > 0
    interval = (
        Interval(ratio, ratio - half, ratio + half, Kind.BCA) if known else Interval(ratio, None, None, Kind.NONE)
    )
    work = law.work.get(model) if model is not None else None
    lengths = [None if work is None else work / (1 - side) for side in _busy(totals, law.kinds, rates)]
    seen = np.array([_vector(cell.rates) for cell in law.cells])
    beyond = _rank(np.vstack([seen, _vector(rates)])) > _rank(seen)
    return Prediction(rates, interval, beyond, _points(law, rates, ratio), lengths[0], lengths[1])


def _busy(totals: Floats, kinds: Sequence[schema.Kind], rates: Rates) -> list[float]:
    """The part of all instructions that ticks make, in VM and realm."""
    each = np.array([rates.each(kind) for kind in kinds])
    return [float(each @ side) for side in np.split(totals, len(WORLDS))]


def _points(law: Law, rates: Rates, ratio: float) -> dict[Component, float]:
    """Percentage points that each component adds: what ticks make it execute in the realm less that in the VM."""
    signs = {World.VM: -1.0, World.REALM: ratio}
    found: dict[Component, float] = dict.fromkeys(PARTS, 0.0)
    for price in law.prices:
        found[price.component] += 100 * signs[price.world] * rates.each(price.kind) * price.instructions
    return found


SHIPPED = Path(__file__).with_name("law.yaml")
"""The law of this checkout's own stack, made by `make bench-law`; without it, runs have to be named."""


def shipped_law() -> Law | None:
    """The law that is shipped, if there is one; raises UsageError if it cannot be read."""
    return read_law(SHIPPED) if SHIPPED.exists() else None


@dataclass(frozen=True)
class Compared:
    """A cell that was counted beside what the law says of it, both as parts of the VM's work.

    `low` and `high` are the prediction's, where it has an interval; `extrapolates` as in a Prediction.
    """

    cell: CellPoints
    predicted: float
    low: float | None = None
    high: float | None = None
    extrapolates: bool = False

    @property
    def error(self) -> float:
        """Of the prediction, as a part of the overhead that was counted."""
        return (self.predicted - self.cell.measured) / self.cell.measured


def against(law: Law, cells: Sequence[CellPoints]) -> list[Compared]:
    """Cells beside a law's predictions; those that it was fitted to beside what the others of it say."""
    own = {(each.run_id, each.cell_id): each.predicted for each in law.cells}
    found = []
    for cell in cells:
        key = (cell.run_id, cell.cell_id)
        if key not in own:
            said = predict(law, cell.rates)
            ends = [None if end is None else end - 1 for end in (said.ratio.low, said.ratio.high)]
            found.append(Compared(cell, (said.ratio.estimate or 1.0) - 1, ends[0], ends[1], said.extrapolates))
        elif (others := own[key]) is not None:
            found.append(Compared(cell, others))
    return found
