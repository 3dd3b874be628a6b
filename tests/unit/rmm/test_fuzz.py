# SPDX-License-Identifier: Apache-2.0
"""A host and a realm that do anything, against the core under the sanitizers and a small model of who owns a granule.

`FUZZ_SECONDS=600 pytest tests/unit/rmm/test_fuzz.py` goes on for longer, with a seed from the clock, which is in the
test's name; `--log-cli-level=info` tells how many steps it took.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from enum import Enum

import pytest

PAGE = 4096
GRANULES = 40
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEEDS = [time.time_ns() % (1 << 32)] if SECONDS else [1, 2, 3]
STEPS = 4_000
SMC, DATA_ABORT, FETCH_ABORT, SYSREG = 0x17 << 26, 0x24 << 26, 0x20 << 26, 0x18 << 26
RAM = 0x8000_0000
SHARED = 1 << 32
ODD = (0, 1, 8, 0xFFF, 1 << 31 | 0x800, 1 << 33, 1 << 48, 1 << 63, (1 << 64) - 1)
CALLS = [*range(0xC400_018F, 0xC400_019B), 0x8400_0000, 0x8400_0002, 0x8400_000A, 0xC400_0001, 0xC400_0003, 0xC400_0004]


class Owner(Enum):
    """Whose a granule is."""

    HOST = 1
    NOBODY = 2
    REALM = 3


class Fuzz:
    """One run of the core, with what is known of its granules."""

    def __init__(self, monitor, makers, seed):
        self.monitor, self.makers, self.dice = monitor, makers, random.Random(seed)
        self.pages = [monitor.page() for _ in range(GRANULES)]
        self.source, self.run_page, self.params = monitor.page(b"\x5a" * PAGE), monitor.page(), monitor.page()
        self.owner = dict.fromkeys(self.pages, Owner.HOST)
        self.realms: dict[int, list[int]] = {}
        self.recs: list[int] = []
        self.done: dict[str, int] = {}

    # --- what may be asked for ---

    def granule(self):
        return self.dice.choice(self.pages) if self.dice.random() < 0.97 else self.dice.choice(ODD)

    def free(self):
        """Mostly one that is delegated."""
        found = [page for page, owner in self.owner.items() if owner is Owner.NOBODY]
        return self.dice.choice(found) if found and self.dice.random() < 0.9 else self.granule()

    def rd(self):
        return self.dice.choice(list(self.realms)) if self.realms and self.dice.random() < 0.9 else self.granule()

    def rec(self):
        return self.dice.choice(self.recs) if self.recs and self.dice.random() < 0.9 else self.granule()

    def ipa(self):
        base = self.dice.choice((RAM, RAM, RAM + (1 << 21), RAM + (1 << 30), SHARED + RAM, 0))
        ipa = base + PAGE * self.dice.choice((0, 0, 1, 2, 3, 511))
        return ipa if self.dice.random() < 0.97 else self.dice.choice(ODD)

    def level(self):
        return self.dice.choice((1, 2, 2, 3, 3, 3, 0, -1, 4))

    # --- what changes hands ---

    def take(self, *granules):
        for each in granules:
            assert self.owner[each] is Owner.NOBODY, f"{each:#x} was taken, and was {self.owner[each]}"
            self.owner[each] = Owner.REALM

    def give(self, *granules):
        for each in granules:
            assert self.owner[each] is Owner.REALM
            assert self.monitor.read(each) == bytes(PAGE), f"{each:#x} came back with something in it"
            self.owner[each] = Owner.NOBODY

    def ask(self, name, *arguments):
        """Outputs of a command that succeeded, else None."""
        status, *outputs = self.monitor.rmi(name, *arguments)
        assert status & 0xFF in {0, 1, 2, 3, 4}, f"{name}: {status:#x}"
        assert status >> 16 == 0
        if status:
            return None
        self.done[name] = self.done.get(name, 0) + 1
        return outputs

    def begin(self):
        """A realm that runs, with which much can be done."""
        rd, root, table2, table3, *data = self.pages[:8]
        recs = self.pages[8:11]
        for page in (rd, root, table2, table3, *data, *recs):
            assert self.ask("delegate", page)
            self.owner[page] = Owner.NOBODY
        self.monitor.write(self.params, self.makers.realm(root, vmid=9))
        assert self.ask("realm_create", rd, self.params)
        assert self.ask("rtt_create", rd, table2, RAM, 2)
        assert self.ask("rtt_create", rd, table3, RAM, 3)
        assert self.ask("init_ripas", rd, RAM, RAM + 4 * PAGE)
        for number, page in enumerate(data):
            assert self.ask("data_create", rd, page, RAM + number * PAGE, self.source, 1)
        for number, page in enumerate(recs):
            self.monitor.write(self.params, self.makers.rec(mpidr=number, pc=RAM, flags=number != 2))
            assert self.ask("rec_create", rd, page, self.params)
        assert self.ask("realm_activate", rd)
        self.take(rd, root, table2, table3, *data, *recs)
        self.realms[rd], self.recs = [root], recs

    # --- the commands ---

    def delegate(self):
        page = self.granule()
        if self.owner.get(page) is Owner.HOST:
            self.monitor.write(page, self.dice.randbytes(64))
        if self.ask("delegate", page):
            assert self.owner[page] is Owner.HOST
            self.owner[page] = Owner.NOBODY

    def undelegate(self):
        page = self.free() if self.dice.random() < 0.3 else self.granule()
        if self.ask("undelegate", page):
            assert self.owner[page] is Owner.NOBODY, f"{page:#x} is out, and was {self.owner[page]}"
            assert self.monitor.read(page) == bytes(PAGE)
            self.owner[page] = Owner.HOST

    def realm_create(self):
        rd, root = self.free(), self.free()
        changes = {"flags": self.dice.choice((0, 0, 1, 2)), "hash_algo": self.dice.choice((0, 1, 2))}
        level = self.dice.choice((1, 1, 1, 2))
        page = self.makers.realm(root, level=level, vmid=self.dice.randrange(4), **changes)
        self.monitor.write(self.params, page)
        if self.ask("realm_create", rd, self.params):
            self.take(rd, root)
            self.realms[rd] = [root]

    def realm_destroy(self):
        rd = self.rd()
        if self.ask("realm_destroy", rd):
            self.give(rd, *self.realms.pop(rd))

    def rec_create(self):
        rec = self.free()
        self.monitor.write(
            self.params, self.makers.rec(mpidr=self.dice.randrange(4), pc=RAM, flags=self.dice.randrange(4))
        )
        if self.ask("rec_create", self.rd(), rec, self.params):
            self.take(rec)
            self.recs.append(rec)

    def rec_destroy(self):
        """Seldom, or there would be none to enter."""
        rec = self.rec() if self.dice.random() < 0.1 else self.dice.choice(ODD)
        if self.ask("rec_destroy", rec):
            self.recs.remove(rec)
            self.give(rec)

    def rtt_create(self):
        table = self.free()
        level = self.level()
        ipa = self.ipa() & -(1 << 12 + 9 * (4 - level)) if 0 < level < 4 else self.ipa()
        if self.ask("rtt_create", self.rd(), table, ipa, level):
            self.take(table)

    def table_back(self):
        name, level = self.dice.choice(("rtt_destroy", "rtt_fold")), self.level()
        ipa = self.ipa() & -(1 << 12 + 9 * (4 - level)) if 0 < level < 4 else self.ipa()
        if found := self.ask(name, self.rd(), ipa, level):
            self.give(found[0])

    def data_create(self):
        data = self.free()
        source = self.source if self.dice.random() < 0.9 else self.granule()
        if self.dice.random() < 0.5:
            done = self.ask("data_create", self.rd(), data, self.ipa(), source, self.dice.randrange(4))
        else:
            done = self.ask("data_create_unknown", self.rd(), data, self.ipa())
        if done:
            self.take(data)

    def data_destroy(self):
        if found := self.ask("data_destroy", self.rd(), self.ipa()):
            self.give(found[0])

    def others(self):
        rd, ipa, level = self.rd(), self.ipa(), self.level()
        name, *arguments = self.dice.choice(
            (
                ("realm_activate", rd if self.dice.random() < 0.2 else 0),
                ("read_entry", rd, ipa, level),
                ("init_ripas", rd, ipa, self.ipa()),
                ("set_ripas", rd, self.rec(), ipa, self.ipa()),
                ("map_unprotected", rd, ipa, level, self.source | 6 << 2 | 3 << 6),
                ("unmap_unprotected", rd, ipa, level),
                ("psci_complete", self.rec(), self.rec(), self.dice.choice((0, -3, 1))),
                ("rec_aux_count", rd),
            )
        )
        self.ask(name, *arguments)

    def enter(self):
        """A realm that calls, faults and touches what it likes; then it is interrupted."""
        for _ in range(self.dice.randrange(4)):
            ipa = self.ipa()
            esr, gprs = self.dice.choice(
                (
                    (SMC, (self.dice.choice(CALLS), ipa, *(self.dice.choice((*ODD, ipa, 64)) for _ in range(9)))),
                    (DATA_ABORT | 1 << 25 | self.dice.choice((7, 1 << 24 | 7, 1 << 24 | 0x47, 0x28, 0x10)), ()),
                    (FETCH_ABORT | 1 << 25 | 7, ()),
                    (SYSREG | self.dice.getrandbits(22), ()),
                )
            )
            self.monitor.trap(0, esr, ipa, ipa >> 8, gprs)
        self.monitor.ask(f"signatures {self.dice.randrange(3):x} {self.dice.choice((2, 3)):x}")
        page = bytearray(0x800)
        page[0] = self.dice.choice((0, 0, 1, 2, 16))
        self.monitor.write(self.run_page, bytes(page))
        where = self.run_page if self.dice.random() < 0.95 else self.granule()
        self.ask("rec_enter", self.rec(), where)

    def step(self):
        self.dice.choice(
            (
                *[self.delegate] * 4, self.undelegate, self.realm_create, self.realm_destroy, self.rec_create,
                self.rec_destroy, *[self.rtt_create] * 3, self.table_back, *[self.data_create] * 3, self.data_destroy,
                *[self.others] * 4, *[self.enter] * 4,
            )
        )()  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(SECONDS + 120)
def test_whatever_they_do_granules_have_one_owner_and_come_back_empty(program, monitor, new_params, seed):
    """After some thousand steps little goes on in there: then another machine."""
    end, rounds, done = time.monotonic() + SECONDS, 0, Counter()
    while rounds == 0 or time.monotonic() < end:
        running = type(monitor)(program)
        fuzz = Fuzz(running, new_params, seed + rounds)
        running.ask("attest 1 1")
        fuzz.begin()
        for _ in range(STEPS):
            fuzz.step()
        running.close()
        rounds += 1
        done += Counter(fuzz.done)
    logging.getLogger(__name__).info("seed %d: %d steps; %s", seed, rounds * STEPS, dict(done))
    wanted = {"delegate", "realm_create", "rec_create", "rtt_create", "rec_enter", "data_create_unknown"}
    assert wanted <= done.keys(), f"too little was reached: {done}"
