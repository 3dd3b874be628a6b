# SPDX-License-Identifier: Apache-2.0
"""What an attack is to everybody else: one record, in the attack's own file as `RECORD`.

Schema, plan, run, rows, alarms, report and the dictionary read it; nothing else lists attacks by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.registry import ATTACKS
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.privacy.rows import About
    from orchestrator.runs.reading import Run
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.testbed.testbed import Testbed


class Kind(StrEnum):
    """What an attack needs to be there: a running world, or only what a run has left."""

    LIVE = "live"
    OFFLINE = "offline"


class When(StrEnum):
    """When a live attack comes; one that leaves traces would be found by each search after it, so it comes last."""

    STEP = "after its step"
    GUEST = "after all steps that share the guest"


class Once(StrEnum):
    """How often a live attack is done in each of its worlds, always in the first boot: it is no matter of chance."""

    CELL = "for each cell"
    MODEL = "for each model"


class Need(StrEnum):
    """What an attack cannot do without; the value is said where it is lacking."""

    LABELS = "the right classes of the inputs"
    MEMORY_VIEW = "a platform that shows all memory of its machine"
    DMA_DEVICE = "a platform with a device that copies to an address it is told"
    COUNTS = "counted instructions of inferences"


class Role(StrEnum):
    """What a figure is to the verdict on CCA."""

    VERDICT = "verdict"
    CONTROL = "control"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Alarm:
    """What a figure of a realm must not be, and how to say it: `words` may hold `{value}`."""

    words: str
    above: float | None = None
    below: float | None = None

    @property
    def rule(self) -> str:
        """For people: `above 0`."""
        bounds = (("above", self.above), ("below", self.below))
        return " or ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def told(self, value: float) -> str | None:
        """The words, if the value is one that must not be; a missing one (NaN) is none."""
        over = self.above is not None and value > self.above
        under = self.below is not None and value < self.below
        return self.words.format(value=value) if over or under else None


@dataclass(frozen=True)
class AttackMetric:
    """One figure of an attack.

    `meaning` and `attempted` (what its tries are) are for the dictionary. A `main` one stands for the attack: the
    first of them says what became of an attack that gave nothing. `exposure`: a share of the model, 0 to 1, that the
    host has in the end. `alarm` is for a figure of the verdict, in a realm. `plain`: no share, though of unit 1 and not
    whole, as a p-value; reports do not make it a percentage.
    """

    name: str
    meaning: str
    attempted: str = ""
    unit: str = "1"
    main: bool = False
    role: Role = Role.VERDICT
    exposure: bool = False
    plain: bool = False
    alarm: Alarm | None = None


@dataclass(frozen=True)
class Outside:
    """Why figures are no part of the verdict on CCA: a heading for them, and the reason in a sentence or two."""

    title: str
    why: str


@dataclass(frozen=True)
class Attack:
    """What all attacks have; a record is a LiveAttack or an OfflineAttack.

    `summary` is one line for people. `outside` is needed where a metric is outside the verdict.
    Raises ValueError if the metrics are not distinct or none of them is a main one.
    """

    name: str
    summary: str
    metrics: tuple[AttackMetric, ...]
    worlds: tuple[World, ...] = tuple(World)
    needs: tuple[Need, ...] = ()
    outside: Outside | None = None

    def __post_init__(self) -> None:
        if len(self.by_name) < len(self.metrics):
            raise ValueError(f"attack {self.name}: two metrics have the same name")
        if not any(metric.main for metric in self.metrics):
            raise ValueError(f"attack {self.name}: no metric is its main one")
        if self.outside is None and any(metric.role is Role.OUTSIDE for metric in self.metrics):
            raise ValueError(f"attack {self.name}: a metric is outside the verdict, and nothing says why")

    @property
    def kind(self) -> Kind:
        """Live or offline."""
        raise NotImplementedError

    @property
    def by_name(self) -> Mapping[str, AttackMetric]:
        """Its metrics by name, in order."""
        return {metric.name: metric for metric in self.metrics}

    @property
    def main(self) -> AttackMetric:
        """The metric that stands for it."""
        return next(metric for metric in self.metrics if metric.main)


@dataclass(frozen=True)
class Victim:
    """What a live attack is given: a world that is up, with the deployed file `model` in it.

    `work` is a folder for scratch files, `limit` (s) is for each step in the host. `accuracy` gives right answers and
    inputs of another model file; None where right answers are not known.
    """

    testbed: Testbed
    world: str
    model: Path
    work: Path
    seed: int
    about: About
    limit: float
    accuracy: Callable[[Path], tuple[int, int]] | None = None


@dataclass(frozen=True)
class Finished:
    """What an offline attack is given: a whole run, and which cell and world of it (`about`) to attack."""

    run: Run
    about: About
    seed: int


@dataclass(frozen=True, kw_only=True)
class LiveAttack(Attack):
    """An attack on a running world; `run` raises OrchError if it comes to no result."""

    run: Callable[[Victim], list[PrivacyRow]]
    when: When = When.STEP
    once: Once = Once.CELL

    @property
    def kind(self) -> Kind:
        """Live."""
        return Kind.LIVE


@dataclass(frozen=True, kw_only=True)
class OfflineAttack(Attack):
    """An attack on what a finished run has left; `run` is called for each cell in each of its worlds.

    It raises OrchError if it comes to no result.
    """

    run: Callable[[Finished], list[PrivacyRow]]

    @property
    def kind(self) -> Kind:
        """Offline."""
        return Kind.OFFLINE


def find_attack(name: str) -> LiveAttack | OfflineAttack:
    """The record of that name; raises UsageError with the names that there are."""
    record: LiveAttack | OfflineAttack = ATTACKS.find(name)
    return record


def metric_of(attack: str, metric: str) -> AttackMetric | None:
    """A metric by the words of a row; None where the attack, or this metric of it, is not known here (any more)."""
    record: Attack | None = ATTACKS.get(attack)
    return record.by_name.get(metric) if record else None


def is_exposure(attack: str, metric: str) -> bool:
    """Whether a row's figure is a share of the model that the host has in the end."""
    known = metric_of(attack, metric)
    return known is not None and known.exposure
