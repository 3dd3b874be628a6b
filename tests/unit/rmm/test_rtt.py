# SPDX-License-Identifier: Apache-2.0
"""Translation tables: commands, errors, a random walk against a model (A5, B4.3)."""

from __future__ import annotations

import random

INPUT, REALM, REC, RTT = 1, 2, 3, 4
EMPTY, RAM, DESTROYED = 0, 1, 2
PAGE, BLOCK = 4096, 0x20_0000
SHARED = 1 << 32


def rtt(level):
    return RTT | level << 8


def test_missing_tables_are_told(monitor, realm):
    granule, source = monitor.granule(), monitor.page(b"x")
    far = 0xC000_0000
    assert monitor.rmi("data_create", realm.rd, granule, far, source, 1)[0] == rtt(1)
    assert monitor.rmi("rtt_create", realm.rd, granule, far, 3)[0] == rtt(1)
    assert monitor.rmi("rtt_create", realm.rd, granule, realm.RAM, 3)[0] == rtt(2), "there already"
    assert monitor.rmi("rtt_create", realm.rd, granule, realm.RAM, 1)[0] == INPUT, "the root's own level"
    assert monitor.rmi("rtt_create", realm.rd, granule, realm.RAM, 4)[0] == INPUT
    assert monitor.rmi("rtt_create", realm.rd, granule, realm.RAM + PAGE, 3)[0] == INPUT
    assert monitor.rmi("rtt_create", realm.rd, granule, 1 << 33, 2)[0] == INPUT
    monitor.ok("undelegate", granule)


def test_data_errors(monitor, realm):
    granule, source = monitor.granule(), monitor.page(b"x")
    secret = monitor.granule()
    for arguments in (
        (realm.root, granule, realm.RAM, source, 1),
        (realm.rd, source, realm.RAM, source, 1),
        (realm.rd, realm.rd, realm.RAM, source, 1),
        (realm.rd, granule, realm.RAM + 8, source, 1),
        (realm.rd, granule, SHARED, source, 1),
        (realm.rd, granule, realm.RAM, secret, 1),
        (realm.rd, granule, realm.RAM, 0, 1),
    ):
        assert monitor.rmi("data_create", *arguments)[0] == INPUT
    assert monitor.read(granule) == bytes(PAGE)
    realm.activate()
    assert monitor.rmi("data_create", realm.rd, granule, realm.RAM, source, 1)[0] == REALM
    monitor.ok("undelegate", granule)


def test_reserved_flags_of_data_are_no_failure(monitor, realm):
    monitor.ok("data_create", realm.rd, monitor.granule(), realm.RAM, monitor.page(b"x"), 0xFFFF_FFFF_FFFF_FFFE)


def test_data_life(monitor, realm):
    granule = realm.data(realm.RAM + PAGE, b"secret")
    last = realm.data(realm.RAM + BLOCK - PAGE, b"secret too")
    assert monitor.read(granule, 6) == b"secret"
    assert monitor.ok("read_entry", realm.rd, realm.RAM + PAGE, 3) == (3, 1, granule, RAM)
    assert monitor.rmi("rtt_destroy", realm.rd, realm.RAM, 3)[:3] == (rtt(3), 0, realm.RAM)
    assert monitor.rmi("data_destroy", realm.rd, realm.RAM)[:3] == (rtt(3), 0, realm.RAM + PAGE)
    assert monitor.ok("data_destroy", realm.rd, realm.RAM + PAGE)[:2] == (granule, realm.RAM + BLOCK - PAGE)
    assert monitor.read(granule) == bytes(PAGE)
    assert monitor.ok("read_entry", realm.rd, realm.RAM + PAGE, 3) == (3, 0, 0, DESTROYED)
    assert monitor.ok("data_destroy", realm.rd, realm.RAM + BLOCK - PAGE)[:2] == (last, realm.RAM + BLOCK)
    assert monitor.ok("rtt_destroy", realm.rd, realm.RAM, 3)[:2] == (realm.tables[1], realm.RAM + (1 << 30))
    assert monitor.ok("read_entry", realm.rd, realm.RAM, 3) == (2, 0, 0, DESTROYED)


def test_children_inherit(monitor, realm):
    base = realm.RAM + BLOCK
    realm.init_ripas(base, base + BLOCK, span=BLOCK)
    realm.table(base, 3)
    assert monitor.ok("read_entry", realm.rd, base + 5 * PAGE, 3) == (3, 0, 0, RAM)
    unknown = monitor.granule()
    monitor.ok("data_create_unknown", realm.rd, unknown, base)
    assert monitor.ok("read_entry", realm.rd, base, 3) == (3, 1, unknown, RAM)


def test_init_ripas_bounds(monitor, realm):
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM, realm.RAM)[0] == INPUT
    assert monitor.rmi("init_ripas", realm.rd, SHARED - PAGE, SHARED + PAGE)[0] == INPUT
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM + 8, realm.RAM + PAGE)[0] == INPUT
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM + BLOCK + PAGE, realm.RAM + 2 * BLOCK)[0] == rtt(2)
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM + BLOCK, realm.RAM + BLOCK + PAGE)[0] == rtt(2)
    realm.data(realm.RAM + 2 * PAGE, b"x")
    assert monitor.ok("init_ripas", realm.rd, realm.RAM, realm.RAM + 4 * PAGE)[0] == realm.RAM + 2 * PAGE
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM + 2 * PAGE, realm.RAM + 4 * PAGE)[0] == rtt(3)
    realm.activate()
    assert monitor.rmi("init_ripas", realm.rd, realm.RAM, realm.RAM + PAGE)[0] == REALM


def test_unprotected(monitor, realm):
    realm.table(SHARED, 2)
    table = realm.table(SHARED, 3)
    page = monitor.page()
    desc = page | 6 << 2 | 3 << 6
    assert monitor.rmi("map_unprotected", realm.rd, realm.RAM, 3, desc)[0] == INPUT
    for wrong in (desc | 1, desc | 1 << 5, desc | 3 << 8, desc | 1 << 55, desc | 1 << 48):
        assert monitor.rmi("map_unprotected", realm.rd, SHARED, 3, wrong)[0] == INPUT
    assert monitor.rmi("map_unprotected", realm.rd, SHARED + BLOCK, 2, desc)[0] == INPUT, "address not a block's"
    monitor.ok("map_unprotected", realm.rd, SHARED, 3, desc)
    assert monitor.rmi("map_unprotected", realm.rd, SHARED, 3, desc)[0] == rtt(3)
    assert monitor.ok("read_entry", realm.rd, SHARED, 3) == (3, 1, desc, 0)
    monitor.ok("map_unprotected", realm.rd, SHARED + BLOCK, 2, 0x8000_0000 | 6 << 2 | 3 << 6)
    assert monitor.rmi("unmap_unprotected", realm.rd, SHARED + BLOCK, 3)[:2] == (rtt(2), SHARED + BLOCK)
    realm.table(SHARED + BLOCK, 3)
    assert monitor.ok("read_entry", realm.rd, SHARED + BLOCK + PAGE, 3)[2] == 0x8000_1000 | 6 << 2 | 3 << 6
    assert monitor.ok("unmap_unprotected", realm.rd, SHARED, 3)[0] == SHARED + BLOCK
    monitor.ok("map_unprotected", realm.rd, SHARED, 3, desc)
    assert monitor.ok("rtt_destroy", realm.rd, SHARED, 3)[0] == table, "ASSIGNED_NS does not keep a table alive"
    assert monitor.ok("read_entry", realm.rd, SHARED, 3) == (2, 0, 0, 0)


def test_fold_and_unfold(monitor, realm):
    base, table = realm.RAM + BLOCK, 0
    realm.init_ripas(base, base + BLOCK, span=BLOCK)
    table = realm.table(base, 3)
    assert monitor.rmi("rtt_fold", realm.rd, base, 2)[0] == INPUT, "not the first address of a table at level 2"
    assert monitor.ok("rtt_fold", realm.rd, base, 3)[0] == table
    assert monitor.read(table) == bytes(PAGE)
    assert monitor.ok("read_entry", realm.rd, base, 3) == (2, 0, 0, RAM)
    assert monitor.rmi("rtt_fold", realm.rd, base, 3)[0] == rtt(2), "no table there"
    monitor.ok("undelegate", table)
    table = realm.table(base, 3)
    page = realm.data(base + PAGE, b"x")
    assert monitor.rmi("rtt_fold", realm.rd, base, 3)[0] == rtt(3), "entries differ"
    assert monitor.ok("data_destroy", realm.rd, base + PAGE)[0] == page
    assert monitor.rmi("rtt_fold", realm.rd, base, 3)[0] == rtt(3), "one is DESTROYED"


def test_fold_data_to_a_block(monitor, realm):
    pages = [monitor.granule() for _ in range(1024)]
    first = next(i for i, page in enumerate(pages) if page % BLOCK == 0)
    assert pages[first : first + 512] == list(range(pages[first], pages[first] + BLOCK, PAGE)), (
        "the test's own allocator"
    )
    for i, page in enumerate(pages[first : first + 512]):
        monitor.ok("data_create_unknown", realm.rd, page, realm.RAM + i * PAGE)
    table = monitor.ok("rtt_fold", realm.rd, realm.RAM, 3)[0]
    assert table == realm.tables[1]
    assert monitor.ok("read_entry", realm.rd, realm.RAM, 3) == (2, 1, pages[first], EMPTY)
    assert monitor.rmi("rtt_destroy", realm.rd, realm.RAM, 2)[0] == rtt(2), "a block keeps its table alive"
    assert monitor.rmi("data_destroy", realm.rd, realm.RAM)[:3] == (rtt(2), 0, realm.RAM)
    monitor.ok("rtt_create", realm.rd, table, realm.RAM, 3)
    for i in range(512):
        assert monitor.ok("data_destroy", realm.rd, realm.RAM + i * PAGE)[0] == pages[first + i]
    assert monitor.ok("rtt_destroy", realm.rd, realm.RAM, 3)[0] == table
    assert monitor.ok("rtt_destroy", realm.rd, realm.RAM, 2)[0] == realm.tables[0]


def test_fold_unprotected(monitor, realm):
    upper, table = realm.table(SHARED, 2), realm.table(SHARED, 3)
    for i in range(512):
        monitor.ok("map_unprotected", realm.rd, SHARED + i * PAGE, 3, 0x8000_0000 + i * PAGE | 6 << 2 | 3 << 6)
    assert monitor.ok("rtt_fold", realm.rd, SHARED, 3)[0] == table
    assert monitor.ok("read_entry", realm.rd, SHARED, 2) == (2, 1, 0x8000_0000 | 6 << 2 | 3 << 6, 0)
    assert monitor.ok("unmap_unprotected", realm.rd, SHARED, 2)[0] == SHARED + (1 << 30)
    assert monitor.ok("rtt_destroy", realm.rd, SHARED, 2)[0] == upper


def test_unfold_of_host_memory_under_a_root_of_both_halves(monitor, realm):
    """One root table at level 1 holds both halves: what is below an entry follows from its own address."""
    monitor.ok("map_unprotected", realm.rd, SHARED, 1, 0x8000_0000 | 6 << 2 | 3 << 6)
    table = realm.table(SHARED, 2)
    for i in range(512):
        monitor.ok("unmap_unprotected", realm.rd, SHARED + i * BLOCK, 2)
    assert monitor.ok("rtt_destroy", realm.rd, SHARED, 2)[0] == table


def test_only_what_can_run_needs_invalidations(monitor, realm):
    pages = [realm.data(realm.RAM + i * PAGE, b"x") for i in range(2)]
    rec = realm.rec(pc=realm.RAM)
    before = monitor.rec_state()[1]
    monitor.ok("data_destroy", realm.rd, realm.RAM)
    assert monitor.rec_state()[1] == before + 1
    monitor.ok("rec_destroy", rec)
    assert monitor.ok("data_destroy", realm.rd, realm.RAM + PAGE)[0] == pages[1]
    assert monitor.rec_state()[1] == before + 1
    for level in (3, 2):
        monitor.ok("rtt_destroy", realm.rd, realm.RAM & ~((1 << 30) - 1) if level == 2 else realm.RAM, level)
    monitor.ok("realm_destroy", realm.rd)
    assert monitor.rec_state()[1] == before + 2, "before anyone else can have the VMID"


class Model:
    """RAM of one level-3 table: state, RIPAS and granule of each page."""

    def __init__(self, realm):
        self.realm = realm
        self.state = dict.fromkeys(range(8), (0, EMPTY, 0))

    def create(self, monitor, index):
        granule = monitor.granule()
        status = monitor.rmi("data_create_unknown", self.realm.rd, granule, self.realm.RAM + index * PAGE)[0]
        assigned, ripas, _ = self.state[index]
        assert status == (rtt(3) if assigned else 0)
        if assigned:
            monitor.ok("undelegate", granule)
        else:
            self.state[index] = (1, ripas, granule)

    def destroy(self, monitor, index):
        status, pa, top, *_ = monitor.rmi("data_destroy", self.realm.rd, self.realm.RAM + index * PAGE)
        assigned, ripas, granule = self.state[index]
        live = [i for i in self.state if i > index and self.state[i][0]]
        assert status == (0 if assigned else rtt(3))
        assert top == (self.realm.RAM + live[0] * PAGE if live else self.realm.RAM + BLOCK)
        if assigned:
            assert pa == granule
            monitor.ok("undelegate", granule)
            self.state[index] = (0, DESTROYED if ripas == RAM else ripas, 0)

    def init(self, monitor, index):
        base = self.realm.RAM + index * PAGE
        assigned, _, _ = self.state[index]
        status = monitor.rmi("init_ripas", self.realm.rd, base, base + PAGE)[0]
        assert status == (rtt(3) if assigned else 0)
        if not assigned:
            self.state[index] = (0, RAM, 0)


def test_random_pages(monitor, realm):
    random.seed(7)
    model = Model(realm)
    for _ in range(2000):
        index = random.randrange(8)
        random.choice([model.create, model.destroy, model.init])(monitor, index)
        assigned, ripas, granule = model.state[index]
        assert monitor.ok("read_entry", realm.rd, realm.RAM + index * PAGE, 3) == (3, assigned, granule, ripas)
