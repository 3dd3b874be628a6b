# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever was measured: equal work at EL0, sums that add up, right answers, silence while counting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from orchestrator.analysis.pairing import common_boots
from orchestrator.runs.frames import usable
from orchestrator.words import INFER, Component, Status, World, phases_in_total


@dataclass(frozen=True)
class Difference:
    """Instructions at EL0 that vm and realm do not agree on, and how often both were left meanwhile."""

    phase: str
    boots: tuple[int, int]  # boot_id of vm and realm: two if one of them was repeated
    iteration: int | None
    vm: int
    realm: int
    exits: tuple[int | None, int | None]

    @property
    def explained(self) -> bool:
        """Whether it is one instruction an exit at most: FP registers come back by a trap (docs/counting.md)."""
        return abs(self.realm - self.vm) <= max((each for each in self.exits if each is not None), default=0)


@dataclass(frozen=True)
class Equality:
    """Comparison of EL0 instructions of vm and realm, boot by boot and iteration by iteration, without warm-ups."""

    cell_id: str
    compared: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """True if there was something to compare and all of it is equal."""
        return self.compared > 0 and not self.differences

    @property
    def explained(self) -> bool:
        """True if all that differs is what exits make a program repeat."""
        return self.compared > 0 and all(each.explained for each in self.differences)


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
    rows = usable(samples)
    rows = rows[rows["phase"].isin(phases_in_total()) & rows["world"].isin([World.VM, World.REALM])].copy()
    rows["at"] = rows["iteration"].fillna(-1).astype("int64")
    found = []
    for cell in samples["cell_id"].unique():
        mine = rows[rows["cell_id"] == cell]
        mine = mine.assign(boot=common_boots(mine))
        table = _by_world(mine[(mine["metric"] == "instructions") & (mine["component"] == Component.GUEST_USER)])
        pairs = table.dropna() if {World.VM, World.REALM} <= set(table.columns) else table.iloc[:0]
        different = pairs[pairs[World.VM] != pairs[World.REALM]] if len(pairs) else pairs
        found.append(Equality(str(cell), len(pairs), tuple(_differences(different, mine))))
    return found


def _by_world(rows: pd.DataFrame, values: str = "value") -> pd.DataFrame:
    """Values by phase, boot and iteration (-1: none), a column for each world."""
    return rows.pivot_table(index=["phase", "boot", "at"], columns="world", values=values, aggfunc="first")


def _differences(pairs: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Difference]:
    """Each row of `pairs`, with the exits and boots of the same place in `rows`."""
    left = _by_world(rows[rows["metric"] == "exits"]).reindex(pairs.index)
    boots = _by_world(rows, "boot_id").reindex(pairs.index)
    places = (pairs.reset_index(), left, boots)
    for row, times, ids in zip(*(each.to_dict("records") for each in places), strict=True):
        vm, realm = (times.get(world) for world in (World.VM, World.REALM))
        yield Difference(
            phase=str(row["phase"]),
            boots=(int(ids[World.VM]), int(ids[World.REALM])),
            iteration=None if row["at"] < 0 else int(row["at"]),
            vm=int(row[World.VM]),
            realm=int(row[World.REALM]),
            exits=(
                None if vm is None or pd.isna(vm) else int(vm),
                None if realm is None or pd.isna(realm) else int(realm),
            ),
        )


def sums(samples: pd.DataFrame) -> tuple[int, int, float]:
    """How many observations add up to `all`, how many have both, and the largest gap, in instructions."""
    rows = samples[(samples["metric"] == "instructions") & samples["value"].notna()]
    keys = ["cell_id", "world", "boot_id", "phase", "iteration"]
    parts = rows[rows["component"] != Component.ALL].groupby(keys, dropna=False)["value"].sum()
    wholes = rows[rows["component"] == Component.ALL].groupby(keys, dropna=False)["value"].sum()
    both = pd.concat([parts.rename("parts"), wholes.rename("whole")], axis=1).dropna()
    gaps = (both["parts"] - both["whole"]).abs()
    return int((gaps == 0).sum()), len(both), float(gaps.max()) if len(gaps) else 0.0


def answers(samples: pd.DataFrame) -> list[Answers]:
    """Right and given answers by cell and world, warm-ups included; counted whatever their status is."""
    rows = samples[(samples["metric"] == "correct") & samples["value"].notna()]
    return [
        Answers(str(cell), str(world), int((part["value"] == 1).sum()), len(part))
        for (cell, world), part in _in_order(rows).groupby(["cell_id", "world"], sort=False)
    ]


def packets(samples: pd.DataFrame) -> int | None:
    """Most packets that a guest received while it was counted; None if nobody looked."""
    rows = samples[(samples["metric"] == "rx_packets") & samples["value"].notna()]
    return None if rows.empty else int(rows["value"].max())


def spreads(samples: pd.DataFrame) -> list[Spread]:
    """How well the instructions of an inference repeat, by cell and world: (largest - smallest) / middle."""
    rows = usable(samples)
    chosen = (rows["metric"] == "instructions") & (rows["component"] == Component.ALL) & (rows["phase"] == INFER)
    found = []
    for (cell, world), part in _in_order(rows[chosen]).groupby(["cell_id", "world"], sort=False):
        boots = part.groupby("boot_id")["value"]
        medians, means = boots.median(), boots.mean()
        middle = float(part["value"].median())
        found.append(
            Spread(
                str(cell),
                str(world),
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
    for (cell, world), part in _in_order(samples).groupby(["cell_id", "world"], sort=False):
        bad = part[part["status"] != Status.OK]["status"].value_counts()
        not_ok = {str(status): int(count) for status, count in bad.items()}
        found.append(Left(str(cell), str(world), len(part), int(part["is_warmup"].sum()), not_ok))
    return found


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by cell as these first came, then host, vm, realm; else as they were."""
    ranks = {"cell_id": {cell: place for place, cell in enumerate(rows["cell_id"].unique())}}
    ranks["world"] = {str(world): place for place, world in enumerate(World)}
    return rows.sort_values(["cell_id", "world"], kind="stable", key=lambda column: column.map(ranks[str(column.name)]))
