# SPDX-License-Identifier: Apache-2.0
"""Which boots and iterations of two worlds belong together: same seed, same inputs, same place in the boot."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from orchestrator.runs.frames import Ints, Mask, among, chosen, firsts, integers, usable
from orchestrator.words import World

BOOT, PLACE = "common_boot", "place"
ONCE = -1
"""The place of what happens once a boot."""


WHERE = ("world", "boot_id", "iteration", "seed")
"""The columns that pairs are made of."""
_COUNTED = ("world", "phase", "metric", "component", "value")
_COUNTS = (*_COUNTED, "boot_id", "iteration", "seed")


def by_seed(rows: pd.DataFrame) -> bool:
    """Whether seeds tell the boots of a cell apart, in each of its worlds."""
    boots = firsts(rows[["world", "boot_id", "seed"]], ["world", "boot_id"])
    return bool(boots["seed"].notna().all() and not boots.duplicated(["world", "seed"]).any())


def common_boots(rows: pd.DataFrame, *, seeded: bool) -> Ints:
    """What equal boots of a cell in two worlds share: their seed or, where seeds tell no boots apart, their id.

    A boot that was repeated has another id than before, and the seed that it had.
    """
    return integers(rows["seed" if seeded else "boot_id"], 0)


def with_pairs(rows: pd.DataFrame, *, seeded: bool) -> pd.DataFrame:
    """A cell's rows with BOOT and PLACE, by which those of two worlds are paired."""
    return rows.assign(**{PLACE: integers(rows["iteration"], ONCE), BOOT: common_boots(rows, seeded=seeded)})


def in_both(
    samples: pd.DataFrame, cell: str, phases: Iterable[str] | None = None, *, placed: bool = False
) -> pd.DataFrame:
    """Of a cell's usable rows, those of VM and realm of which the other world has the same boot and iteration as well.

    Of these `phases` or of all; all rows where the worlds have nothing in common. What is left is what ratios of sums
    are made of: counts of instructions and exits, with BOOT and PLACE if they are to be `placed`.
    """
    seeded = by_seed(usable(samples, ["world", "boot_id", "seed"], cell_id=cell))
    wanted = [*(usable(samples, ["phase"], cell_id=cell)["phase"].unique() if phases is None else phases)]

    def counts(*, shared: bool) -> pd.DataFrame:
        columns = [*_COUNTED, BOOT, PLACE] if placed else [*_COUNTED]
        parts = (_of_phase(samples, cell, phase, seeded=seeded, shared=shared)[columns] for phase in wanted)
        return pd.concat(parts, ignore_index=True)

    found = counts(shared=True)
    return found if len(found) else counts(shared=False)


def _of_phase(samples: pd.DataFrame, cell: str, phase: str, *, seeded: bool, shared: bool) -> pd.DataFrame:
    """One phase after the other takes less memory."""
    rows = usable(samples, _COUNTS, cell_id=cell, phase=phase, world=[World.VM, World.REALM])
    rows = with_pairs(rows, seeded=seeded)
    these = _shared(rows) if shared else None
    return chosen(rows, None, these, metric=["instructions", "exits", "host_exits"])


def _shared(rows: pd.DataFrame) -> Mask:
    """Which rows have a boot and iteration that both worlds have."""
    keys = pd.factorize(rows[BOOT])[0] * (1 << 40) + rows[PLACE].to_numpy()
    begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    lengths = np.diff(np.append(begins, len(keys)))  # of rows of one place, one after the other
    worlds = [among(rows["world"], world) for world in (World.VM, World.REALM)]
    vm, realm = (keys[begins[np.logical_or.reduceat(mine, begins)]] if len(begins) else keys for mine in worlds)
    return np.repeat(np.isin(keys[begins], np.intersect1d(vm, realm)), lengths)
