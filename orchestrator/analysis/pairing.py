# SPDX-License-Identifier: Apache-2.0
"""Which boots and iterations of two worlds belong together: same seed, same inputs, same place in the boot."""

from __future__ import annotations

from typing import Any

import pandas as pd

from orchestrator.words import World

BOOT, PLACE, SEEDED = "common_boot", "place", "seeded"
ONCE = -1
"""The place of what happens once a boot."""


def by_seed(rows: pd.DataFrame) -> bool:
    """Whether seeds tell the boots of a cell apart, in each of its worlds."""
    boots = rows.drop_duplicates(["world", "boot_id"])
    return bool(boots["seed"].notna().all() and not boots.duplicated(["world", "seed"]).any())


def common_boots(rows: pd.DataFrame) -> pd.Series[Any]:
    """What equal boots of a cell in two worlds share: their seed or, where seeds tell no boots apart, their id.

    A boot that was repeated has another id than before, and the seed that it had.
    """
    return rows["seed" if by_seed(rows) else "boot_id"].fillna(0).astype("int64")


def with_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with BOOT and PLACE, by which those of two worlds are paired, and whether BOOT is a seed (SEEDED)."""
    found = rows.copy()
    found[PLACE] = rows["iteration"].fillna(ONCE).astype("int64")
    found[BOOT], found[SEEDED] = 0, False
    for _, part in rows.groupby("cell_id", sort=False):
        found.loc[part.index, BOOT] = common_boots(part)
        found.loc[part.index, SEEDED] = by_seed(part)
    return found


def in_both(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows with pairs, those of VM and realm of which the other world has the same boot and iteration as well.

    All rows where the worlds have nothing in common. What is left is what ratios of sums are made of.
    """
    keys = ["phase", BOOT, PLACE]
    vm, realm = (rows.loc[rows["world"] == world, keys].drop_duplicates() for world in (World.VM, World.REALM))
    both = vm.merge(realm)
    return rows if both.empty else rows.merge(both, on=keys)
