# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever was measured: equal work at EL0, sums that add up, right answers, silence while counting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.analysis.pairing import ONCE, WHERE, by_seed, common_boots
from orchestrator.runs.frames import Words, among, chosen, firsts, integers, plain, usable
from orchestrator.words import INFER, Component, Status, World, phases_in_total

_PLACE = ("cell_id", "world")


@dataclass(frozen=True)
class Difference:
    """Instructions at EL0 that vm and realm do not agree on, and how often both were left meanwhile."""

    phase: str
    boots: tuple[int, int]  # boot_id of vm and realm: two if one of them was repeated
    iteration: int | None
    vm: int
    realm: int
    exits: tuple[int | None, int | None]


@dataclass(frozen=True, eq=False)
class Equality:
    """Comparison of EL0 instructions of vm and realm, boot by boot and iteration by iteration, without warm-ups.

    A difference is explained if it is one instruction an exit at most: FP registers come back by a trap
    (docs/counting.md). `table` has a line for each: phase, iteration (-1: none), and of both worlds the boot's id,
    value and exits.
    """

    cell_id: str
    compared: int
    table: pd.DataFrame

    @property
    def different(self) -> int:
        """How many differ."""
        return len(self.table)

    @property
    def largest(self) -> int:
        """The largest difference; 0 if there is none."""
        return int(self._gaps.max()) if self.different else 0

    @property
    def equal(self) -> bool:
        """True if there was something to compare and all of it is equal."""
        return self.compared > 0 and not self.different

    @property
    def explained(self) -> bool:
        """True if all that differs is what exits make a program repeat."""
        return self.compared > 0 and not self._odd.any()

    @property
    def unexplained(self) -> int:
        """How many differ by more than that."""
        return int(self._odd.sum())

    def differences(self, most: int | None = None, *, explained: bool = True) -> list[Difference]:
        """All or the first ones, be they `explained` or not."""
        table = self.table if explained else self.table[self._odd]
        return [_difference(row) for row in table[:most].to_dict("records")]

    @property
    def _gaps(self) -> NDArray[np.float64]:
        return (self.table["realm"] - self.table["vm"]).abs().to_numpy(dtype=np.float64)

    @property
    def _odd(self) -> NDArray[np.bool_]:
        exits = self.table[["vm_exits", "realm_exits"]].max(axis=1).fillna(0)
        return np.asarray(self._gaps.astype(np.int64) > exits.to_numpy(dtype=np.float64).astype(np.int64))


@dataclass(frozen=True)
class Answers:
    """How many of a world's answers have the right label."""

    cell_id: str
    world: str
    right: int
    given: int


@dataclass(frozen=True)
class Spread:
    """Largest relative difference of the instructions of phase infer: between boots, and within a boot."""

    cell_id: str
    world: str
    between_medians: float
    between_means: float
    within: float
    boots: int


@dataclass(frozen=True)
class Left:
    """Rows of a cell and world that no statistic uses, by reason."""

    cell_id: str
    world: str
    rows: int
    warmups: int
    not_ok: dict[str, int]


def el0_equality(samples: pd.DataFrame) -> list[Equality]:
    """Compare guest_user instructions of vm and realm, cell by cell; boots are paired by what they were drawn from."""
    return [_equality(samples, str(cell)) for cell in samples["cell_id"].unique()]


def _equality(samples: pd.DataFrame, cell: str) -> Equality:
    where: dict[str, Words] = {"cell_id": cell, "phase": phases_in_total(), "world": [World.VM, World.REALM]}
    seeded = by_seed(usable(samples, ["world", "boot_id", "seed"], **where))

    def by_world(metric: str, **words: Words) -> pd.DataFrame:
        """Values by phase, boot and iteration (-1: none), a column for each world."""
        rows = plain(usable(samples, ["phase", *WHERE, "value"], metric=metric, **words, **where))
        rows = rows.assign(boot=common_boots(rows, seeded=seeded), iteration=integers(rows["iteration"], ONCE))
        found = rows.pivot_table(index=["phase", "boot", "iteration"], columns="world", values="value", aggfunc="first")
        return found.reindex(columns=[str(World.VM), str(World.REALM)])

    pairs = by_world("instructions", component=Component.GUEST_USER).dropna()
    table = pairs[pairs[World.VM] != pairs[World.REALM]]
    if len(table):
        table = table.join(by_world("exits").add_suffix("_exits"))
    boots = firsts(usable(samples, ["world", "boot_id", "seed"], **where), ["world", "boot_id"])
    table = table.reset_index()
    for world in (World.VM, World.REALM):
        mine = boots[boots["world"] == world]
        ids = dict(zip(common_boots(mine, seeded=seeded), mine["boot_id"], strict=True))
        table[f"{world}_boot"] = table["boot"].map(ids)
    return Equality(cell, len(pairs), table.reindex(columns=_TABLE))


_TABLE = ["phase", "iteration", *(f"{world}{what}" for what in ("", "_boot", "_exits") for world in ("vm", "realm"))]


def _difference(row: Mapping[Any, Any]) -> Difference:
    exits = (row["vm_exits"], row["realm_exits"])
    vm, realm = (None if pd.isna(each) else int(each) for each in exits)
    return Difference(
        phase=str(row["phase"]),
        boots=(int(row["vm_boot"]), int(row["realm_boot"])),
        iteration=None if row["iteration"] < 0 else int(row["iteration"]),
        vm=int(row["vm"]),
        realm=int(row["realm"]),
        exits=(vm, realm),
    )


def sums(samples: pd.DataFrame) -> tuple[int, int, float]:
    """How many observations add up to `all`, how many have both, and the largest gap, in instructions."""
    found = [_sums(samples, str(cell), world) for cell in samples["cell_id"].unique() for world in World]
    return sum(each[0] for each in found), sum(each[1] for each in found), max((each[2] for each in found), default=0.0)


def _sums(samples: pd.DataFrame, cell: str, world: World) -> tuple[int, int, float]:
    """The same of one cell and world, which takes less memory."""
    there, columns = samples["value"].notna().to_numpy(), ["phase", "boot_id", "iteration", "component", "value"]
    rows = chosen(samples, columns, there, metric="instructions", cell_id=cell, world=world)
    keys = integers(rows["boot_id"], -1) * (1 << 8) + pd.factorize(rows["phase"])[0]
    keys = keys * (1 << 40) + integers(rows["iteration"], -1)
    whole, values = among(rows["component"], Component.ALL), rows["value"].to_numpy(dtype=np.float64)
    parts, wholes = (pd.Series(values[mine]).groupby(keys[mine]).sum() for mine in (~whole, whole))
    gaps = (parts - wholes).dropna().abs()
    return int((gaps == 0).sum()), len(gaps), float(gaps.max()) if len(gaps) else 0.0


def answers(samples: pd.DataFrame) -> list[Answers]:
    """Right and given answers by cell and world, warm-ups included; counted whatever their status is."""
    rows = chosen(samples, [*_PLACE, "value"], samples["value"].notna().to_numpy(), metric="correct")
    return [Answers(cell, world, int((part["value"] == 1).sum()), len(part)) for cell, world, part in _in_order(rows)]


def packets(samples: pd.DataFrame) -> int | None:
    """Most packets that a guest received while it was counted; None if nobody looked."""
    received = chosen(samples, ["value"], metric="rx_packets")["value"].dropna()
    return None if received.empty else int(received.max())


def spreads(samples: pd.DataFrame) -> list[Spread]:
    """How well the instructions of an inference repeat, by cell and world: (largest - smallest) / middle."""
    columns = [*_PLACE, "boot_id", "value"]
    rows = usable(samples, columns, metric="instructions", component=Component.ALL, phase=INFER)
    found = []
    for cell, world, part in _in_order(rows):
        boots = part.groupby("boot_id")["value"]
        medians, means = boots.median(), boots.mean()
        middle = float(part["value"].median())
        found.append(
            Spread(
                cell,
                world,
                between_medians=float(medians.max() - medians.min()) / middle,
                between_means=float(means.max() - means.min()) / float(part["value"].mean()),
                within=float((boots.max() - boots.min()).max()) / middle,
                boots=len(medians),
            )
        )
    return found


def left_out(samples: pd.DataFrame) -> list[Left]:
    """What statistics leave out, by cell and world."""
    found = []
    for cell, world, part in _in_order(samples[[*_PLACE, "is_warmup", "status"]]):
        bad = part.loc[part["status"] != Status.OK, "status"].astype("str").value_counts()
        not_ok = {str(status): int(count) for status, count in bad.items()}
        found.append(Left(cell, world, len(part), int(part["is_warmup"].sum()), not_ok))
    return found


def _in_order(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The rows by cell as these first came, then host, vm, realm; else as they were."""
    for cell in rows["cell_id"].unique():
        for world in World:
            part = chosen(rows, cell_id=str(cell), world=world)
            if len(part):
                yield str(cell), str(world), part
