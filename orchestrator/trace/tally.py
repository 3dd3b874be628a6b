# SPDX-License-Identifier: Apache-2.0
"""Counts of execution by world and exception level, at one moment or between two; pure.

Every count is in executed guest instructions, every move in changes of world, every exit in times that a guest was
left; what exactly that means is in docs/counting.md.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SecurityState(enum.StrEnum):
    """A security state of the processor, in the order of the plugin's arrays."""

    NON_SECURE = "non_secure"
    REALM = "realm"
    ROOT = "root"
    SECURE = "secure"


class Level(enum.StrEnum):
    """A column of a world's counters; the five are disjoint. EL0 of a VHE host is HOST_EL0, of a guest EL0."""

    EL0 = "el0"
    EL1 = "el1"
    EL2 = "el2"
    EL3 = "el3"
    HOST_EL0 = "host_el0"

    @property
    def el(self) -> int:
        """The exception level, 0 to 3."""
        return 0 if self is Level.HOST_EL0 else int(self.value[2])


SECURITY_STATES = tuple(SecurityState)
LEVELS = tuple(Level)

Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Tally:
    """Counts, moves and exits at one moment, or between two.

    `counts[vcpu][world][level]` are instructions, `moves[vcpu][from][to]` changes of world, `left[vcpu][world]` exits
    of that world's guests; the worlds and levels are in the order of `SECURITY_STATES` and `LEVELS`.
    """

    counts: tuple[Matrix, ...]
    moves: tuple[Matrix, ...]
    left: Matrix

    def __sub__(self, earlier: Tally) -> Tally:
        """What was counted since `earlier`."""
        return Tally(
            tuple(_minus(later, before) for later, before in zip(self.counts, earlier.counts, strict=True)),
            tuple(_minus(later, before) for later, before in zip(self.moves, earlier.moves, strict=True)),
            _minus(self.left, earlier.left),
        )

    def of_vcpu(self, vcpu: int) -> Tally:
        """The part of one vCPU, as a tally of a machine that has only this one."""
        return Tally((self.counts[vcpu],), (self.moves[vcpu],), (self.left[vcpu],))

    @property
    def total(self) -> int:
        """Instructions of all vCPUs, worlds and levels."""
        return sum(self.by_state().values())

    def by_level(self) -> dict[tuple[SecurityState, Level], int]:
        """Instructions per world and level, over all vCPUs."""
        return {
            (world, level): sum(cpu[w][n] for cpu in self.counts)
            for w, world in enumerate(SECURITY_STATES)
            for n, level in enumerate(LEVELS)
        }

    def by_el(self) -> dict[tuple[SecurityState, int], int]:
        """Instructions per world and exception level 0 to 3, over all vCPUs; both kinds of EL0 are EL 0."""
        totals = {(world, el): 0 for world in SECURITY_STATES for el in range(4)}
        for (world, level), count in self.by_level().items():
            totals[world, level.el] += count
        return totals

    def by_state(self) -> dict[SecurityState, int]:
        """Instructions per world, over all vCPUs."""
        totals = dict.fromkeys(SECURITY_STATES, 0)
        for (world, _), count in self.by_level().items():
            totals[world] += count
        return totals

    def entries(self) -> dict[SecurityState, int]:
        """How often each world was entered from another one, over all vCPUs."""
        return {world: sum(row[w] for cpu in self.moves for row in cpu) for w, world in enumerate(SECURITY_STATES)}

    def exits(self) -> dict[SecurityState, int]:
        """How often each world was left for another one, over all vCPUs."""
        return {world: sum(sum(cpu[w]) for cpu in self.moves) for w, world in enumerate(SECURITY_STATES)}

    def guest_exits(self) -> dict[SecurityState, int]:
        """How often a guest of each world (EL0, EL1) was left for EL2 or EL3, over all vCPUs."""
        return {world: sum(cpu[w] for cpu in self.left) for w, world in enumerate(SECURITY_STATES)}


def _minus(later: Matrix, earlier: Matrix) -> Matrix:
    return tuple(
        tuple(a - b for a, b in zip(row, before, strict=True)) for row, before in zip(later, earlier, strict=True)
    )
