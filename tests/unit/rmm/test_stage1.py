# SPDX-License-Identifier: Apache-2.0
"""An access that leads outside of the IPA space: at which level of the realm's own tables (A5.2.8)."""

from __future__ import annotations

import struct

import pytest

DATA_ABORT = 0x24 << 26 | 1 << 25 | 7
INJECTED = 0x25 << 26 | 1 << 25
OUTSIDE = 1 << 33
MMU_ON = 1
TABLE, PAGE, BLOCK = 3, 3, 1
# T0SZ and T1SZ for 48 bits, 4 KiB in both halves.
TCR = 16 | 16 << 16 | 2 << 30


class Translation:
    """A realm whose own tables are four pages of its RAM, one for each level."""

    def __init__(self, realm):
        self.realm, self.monitor = realm, realm.monitor
        realm.init_ripas(realm.RAM, realm.RAM + 0x10000)
        self.ipas = [realm.RAM + 0x1000 * level for level in range(4)]
        self.pages = [realm.data(ipa, bytes(4096)) for ipa in self.ipas]
        self.rec = realm.rec(pc=realm.RAM)
        realm.activate()

    def set(self, level, index, descriptor):
        self.monitor.write(self.pages[level] + 8 * index, struct.pack("<Q", descriptor))

    def fault(self, va, *, tcr=TCR, ttbr0=None, ttbr1=0, sctlr=MMU_ON):
        """Fault status that the realm is told of an access to `va` which left its IPA space."""
        base = self.ipas[0] if ttbr0 is None else ttbr0
        self.monitor.ask(f"stage1 {sctlr:x} {tcr:x} {base:x} {ttbr1:x}")
        self.monitor.trap(0, DATA_ABORT, va, OUTSIDE >> 8)
        assert self.realm.enter(self.rec) == 0
        esr = self.monitor.rec_state()[0]
        assert esr & ~0x3F == INJECTED
        return esr & 0x3F


@pytest.fixture
def translation(realm):
    return Translation(realm)


def test_without_stage_1_at_level_0(translation):
    assert translation.fault(OUTSIDE, sctlr=0) == 0


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_level_of_the_descriptor_that_leads_there(translation, level):
    va = 5 << 39 | 6 << 30 | 7 << 21 | 8 << 12
    for above in range(level):
        translation.set(above, 5 + above, translation.ipas[above + 1] | TABLE)
    translation.set(level, 5 + level, OUTSIDE | TABLE)
    assert translation.fault(va) == level


@pytest.mark.parametrize("level", [1, 2])
def test_a_block(translation, level):
    for above in range(level):
        translation.set(above, 0, translation.ipas[above + 1] | TABLE)
    translation.set(level, 0, OUTSIDE | BLOCK)
    assert translation.fault(0) == level


def test_the_upper_half_begins_at_the_level_of_its_size(translation):
    """39 bits: level 1 is the first."""
    translation.set(0, 511, OUTSIDE | TABLE)
    assert translation.fault((1 << 64) - 1, tcr=TCR & ~(63 << 16) | 25 << 16, ttbr1=translation.ipas[0]) == 1


def test_tables_that_are_nowhere(translation):
    for base in (OUTSIDE, translation.realm.RAM + 0x100_0000, 0):
        assert translation.fault(0x1234_5000, ttbr0=base) == 0


@pytest.mark.parametrize("tcr", [0, 63, 40, 1 << 14, 1 << 14 | 63, 2 << 14, 1 << 59, 1 << 59 | 12, (1 << 64) - 1])
@pytest.mark.parametrize("va", [0, 0x00FF_FFFF_FFFF_FFFF, (1 << 64) - 1])
def test_whatever_a_realm_sets_up_is_walked_within_its_memory(translation, tcr, va):
    """Any answer will do; the sanitizers and the core's own checks say whether it left its memory."""
    translation.set(0, 511, (1 << 64) - 1)
    assert translation.fault(va, tcr=tcr, ttbr1=translation.ipas[0]) in {0, 1, 2, 3, 0x29}
