# SPDX-License-Identifier: Apache-2.0
"""Where the realm's additional instructions are executed: by phase and component, and what each exit adds.

Made of means over the boots and iterations that both worlds have: parts add up, and to the ratio of sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from orchestrator.runs.frames import by_key, chosen
from orchestrator.words import INFER, Component, Phase, World

PARTS = tuple(component for component in Component if component is not Component.ALL)
INSIDE = (Component.GUEST_USER, Component.GUEST_KERNEL)
OUTSIDE = tuple(part for part in PARTS if part not in INSIDE)

UNATTRIBUTED = "unattributed"


@dataclass(frozen=True)
class Share:
    """What one component executes in one phase, instructions a time in vm and realm; points of the VM's total."""

    phase: str
    component: str
    vm: float
    realm: float
    points: float

    @property
    def extra(self) -> float:
        """Instructions that the realm adds."""
        return self.realm - self.vm


@dataclass(frozen=True)
class Decomposition:
    """Shares that add up: their points are the overhead of the realm over the VM in all phases together, percent."""

    phases: tuple[Phase, ...]
    shares: tuple[Share, ...]
    vm: float
    realm: float

    @property
    def overhead(self) -> float:
        """Percent that the realm executes more than the VM."""
        return 100 * (self.realm / self.vm - 1)

    def points(self, *, phase: str | None = None, component: str | None = None) -> float:
        """Percentage points of one phase, one component, or one of both."""
        chosen = (
            share.points
            for share in self.shares
            if phase in {None, share.phase} and component in {None, share.component}
        )
        return sum(chosen)


def decompose(rows: pd.DataFrame, phases: tuple[Phase, ...]) -> Decomposition | None:
    """Decompose a cell's usable rows of metric `instructions`; None unless both worlds have every required phase.

    What the components leave of `all` is a part of its own, so that the points always add up.
    """
    means = by_key(rows, ["world", "phase", "component"], "mean")
    wholes = {
        (world, phase): float(means.get((world, phase, Component.ALL), 0.0))
        for world in (World.VM, World.REALM)
        for phase in phases
    }
    if not all(whole for (_, phase), whole in wholes.items() if phase.required):
        return None
    vm = sum(wholes[World.VM, phase] for phase in phases)
    shares = []
    for phase in phases:
        left = [wholes[World.VM, phase], wholes[World.REALM, phase]]
        for part in PARTS:
            pair = [float(means.get((world, phase, part), 0.0)) for world in (World.VM, World.REALM)]
            left = [whole - part_value for whole, part_value in zip(left, pair, strict=True)]
            shares.append(Share(phase, part, pair[0], pair[1], 100 * (pair[1] - pair[0]) / vm))
        if max(map(abs, left)) > 0.5:  # half an instruction: sums of floats
            shares.append(Share(phase, UNATTRIBUTED, left[0], left[1], 100 * (left[1] - left[0]) / vm))
    return Decomposition(phases, tuple(shares), vm, sum(wholes[World.REALM, phase] for phase in phases))


@dataclass(frozen=True)
class Exits:
    """Exits of one inference in one world, as means: how often, and what is executed outside the guest."""

    exits: float
    host_exits: float
    inside: float
    outside: float

    @property
    def per_million(self) -> float:
        """Exits per million instructions of the guest itself (EL0 and EL1)."""
        return 1e6 * self.exits / self.inside

    @property
    def instructions_per_exit(self) -> float:
        """Instructions outside the guest for each exit."""
        return self.outside / self.exits


@dataclass(frozen=True)
class ExitCost:
    """Why the realm executes more in phase infer: three reasons that add up to the overhead, in points of the VM's."""

    vm: Exits
    realm: Exits
    extra_per_host_exit: dict[str, float]
    guest_points: float
    more_exits_points: float
    dearer_exits_points: float

    @property
    def extra(self) -> float:
        """Additional instructions outside the guest for each exit that reaches the host."""
        return sum(self.extra_per_host_exit.values())


def exit_cost(rows: pd.DataFrame) -> ExitCost | None:
    """Exits and their cost from a cell's usable rows of phase infer; None unless both worlds have exits.

    With G the guest's own instructions, E exits and c the instructions outside for each: realm - vm =
    (G_r - G_v) + (E_r - E_v) c_v + E_r (c_r - c_v).
    """
    means = by_key(chosen(rows, phase=INFER), ["world", "metric", "component"], "mean")
    vm, realm = _exits(means, World.VM), _exits(means, World.REALM)
    if vm is None or realm is None:
        return None
    extra = {
        str(part): (_mean(means, World.REALM, "instructions", part) - _mean(means, World.VM, "instructions", part))
        / realm.host_exits
        for part in OUTSIDE
    }
    percent = 100 / (vm.inside + vm.outside)
    per_vm_exit = vm.instructions_per_exit
    return ExitCost(
        vm,
        realm,
        extra,
        guest_points=percent * (realm.inside - vm.inside),
        more_exits_points=percent * (realm.exits - vm.exits) * per_vm_exit,
        dearer_exits_points=percent * realm.exits * (realm.instructions_per_exit - per_vm_exit),
    )


def _exits(means: pd.Series[float], world: World) -> Exits | None:
    exits = _mean(means, world, "exits", Component.ALL)
    host_exits = _mean(means, world, "host_exits", Component.ALL)
    whole = _mean(means, world, "instructions", Component.ALL)
    inside = sum(_mean(means, world, "instructions", part) for part in INSIDE)
    if not exits or not host_exits or not inside:
        return None
    return Exits(exits, host_exits, inside, whole - inside)


def _mean(means: pd.Series[float], world: World, metric: str, component: Component) -> float:
    return float(means.get((world, metric, component), 0.0))
