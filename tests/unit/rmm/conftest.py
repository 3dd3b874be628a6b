# SPDX-License-Identifier: Apache-2.0
"""The RMM's core, compiled for this computer with sanitizers, behind a line protocol (arch_host.c)."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workshop import FLAGS, SANITIZERS, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "images" / "rmm" / "src"
INCLUDE = PROJECT / "guest" / "abi"
# What only runs on the machine: boot, MMU, console, world switch, the freestanding memory functions.
TARGET_ONLY = {
    *("arch_target", "rec_target", "signer_target"),
    *("ecdsa", "heap", "boot", "console", "lib", "main", "mmu", "panic"),
}

GRANULE = 4096
MEMORY = 0x4190_0000
FUNCTIONS = {
    "version": 0x150, "delegate": 0x151, "undelegate": 0x152, "data_create": 0x153, "data_create_unknown": 0x154,
    "data_destroy": 0x155, "realm_activate": 0x157, "realm_create": 0x158, "realm_destroy": 0x159,
    "rec_create": 0x15A, "rec_destroy": 0x15B, "rec_enter": 0x15C, "rtt_create": 0x15D, "rtt_destroy": 0x15E,
    "map_unprotected": 0x15F, "read_entry": 0x161, "unmap_unprotected": 0x162, "psci_complete": 0x164,
    "features": 0x165, "rec_aux_count": 0x167, "rtt_fold": 0x166, "init_ripas": 0x168, "set_ripas": 0x169,
}  # fmt: skip


class Monitor:
    """One run of the core; every method is one RMI command or one look at the machine."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.next_page = MEMORY

    def ask(self, line: str) -> str:
        """One line there, one back; a core that died (sanitizer, panic) fails the test."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the core died at: {line[:80]} (its last words are on stderr)"
        return answer.strip()

    def smc(self, function: int, *arguments: int) -> tuple[int, ...]:
        """x0..x4 after a call with any function identifier."""
        words = " ".join(f"{word & (1 << 64) - 1:x}" for word in (function, *arguments))
        return tuple(int(word, 16) for word in self.ask(f"smc {words}").split())

    def rmi(self, name: str, *arguments: int) -> tuple[int, ...]:
        """x0..x4 after an RMI command."""
        return self.smc(0xC400_0000 | FUNCTIONS[name], *arguments)

    def ok(self, name: str, *arguments: int) -> tuple[int, ...]:
        """x1..x4 of a command that must succeed."""
        status, *outputs = self.rmi(name, *arguments)
        assert status == 0, f"{name}{tuple(map(hex, arguments))} answered {status:#x}"
        return tuple(outputs)

    def read(self, address: int, size: int = GRANULE) -> bytes:
        """Memory as it is, whatever world owns it."""
        return bytes.fromhex(self.ask(f"read {address:x} {size:x}"))

    def write(self, address: int, content: bytes) -> None:
        self.ask(f"write {address:x} {content.hex()}")

    def page(self, content: bytes = b"") -> int:
        """A fresh page of the normal world."""
        address, self.next_page = self.next_page, self.next_page + GRANULE
        if content:
            self.write(address, content)
        return address

    def granule(self) -> int:
        """A fresh delegated granule."""
        address = self.page()
        self.ok("delegate", address)
        return address

    def trap(self, kind: int, esr: int = 0, far: int = 0, hpfar: int = 0, gprs: tuple[int, ...] = ()) -> None:
        """What the realm does next; without any left it is interrupted."""
        self.ask("trap " + " ".join(f"{word & (1 << 64) - 1:x}" for word in (kind, esr, far, hpfar, *gprs)))

    def rec_state(self) -> tuple[int, int, int, list[int]]:
        """ESR of the last injected exception (0: none), TLB invalidations so far, PC, general registers."""
        injected, invalidations, pc, *gprs = (int(word, 16) for word in self.ask("rec").split())
        return injected, invalidations, pc, gprs

    def timers(self, virtual: int, physical: int) -> tuple[bool, bool]:
        """Set the control registers that the next exit will find; whether the last entry masked the two timers."""
        masked_v, masked_p = self.ask(f"timers {virtual:x} {physical:x}").split()
        return masked_v == "1", masked_p == "1"

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0, "the sanitizers complained"


def realm_params(root: int, *, s2sz: int = 33, level: int = 1, count: int = 1, vmid: int = 1, **changes: int) -> bytes:
    """RmiRealmParams."""
    page = bytearray(GRANULE)
    page[0x400:0x440] = bytes(range(64))
    struct.pack_into("<Q", page, 0x0, changes.get("flags", 0))
    page[0x8] = s2sz
    page[0x18] = changes.get("num_bps", 1)
    page[0x20] = changes.get("num_wps", 1)
    page[0x30] = changes.get("hash_algo", 0)
    struct.pack_into("<HxxxxxxQqI", page, 0x800, vmid, root, level, count)
    return bytes(page)


def rec_params(*, mpidr: int = 0, pc: int = 0, flags: int = 1, gprs: tuple[int, ...] = (0,) * 8, aux: int = 0) -> bytes:
    """RmiRecParams."""
    page = bytearray(GRANULE)
    struct.pack_into("<Q", page, 0x0, flags)
    struct.pack_into("<Q", page, 0x100, mpidr)
    struct.pack_into("<Q", page, 0x200, pc)
    struct.pack_into("<8Q", page, 0x300, *gprs)
    struct.pack_into("<Q", page, 0x800, aux)
    return bytes(page)


class Realm:
    """A realm of 2^32 bytes of Protected addresses with RAM at 0x8000_0000, and the RIM it should have (A7.1)."""

    RAM = 0x8000_0000

    def __init__(self, monitor: Monitor, *, vmid: int = 1, hash_algo: int = 0) -> None:
        self.monitor = monitor
        self.rd, self.root = monitor.granule(), monitor.granule()
        self.hash = (hashlib.sha256, hashlib.sha512)[hash_algo]
        params = realm_params(self.root, vmid=vmid, hash_algo=hash_algo)
        monitor.ok("realm_create", self.rd, monitor.page(params))
        self.rim = self.hash(params[:0x400] + bytes(GRANULE - 0x400)).digest()
        self.run = monitor.page()
        self.tables = [self.table(self.RAM, 2), self.table(self.RAM, 3)]

    def table(self, ipa: int, level: int) -> int:
        granule = self.monitor.granule()
        self.monitor.ok("rtt_create", self.rd, granule, ipa, level)
        return granule

    def _extend(self, kind: int, content: bytes) -> None:
        head = struct.pack("<B7xQ", kind, 0x100) + self.rim.ljust(64, b"\0")
        self.rim = self.hash((head + content).ljust(0x100, b"\0")).digest()

    def init_ripas(self, base: int, top: int, span: int = GRANULE) -> None:
        while base < top:
            (reached, *_) = self.monitor.ok("init_ripas", self.rd, base, top)
            for entry in range(base, reached, span):
                self._extend(2, struct.pack("<QQ", entry, entry + span))
            base = reached

    def data(self, ipa: int, content: bytes, *, flags: int = 1) -> int:
        granule, source = self.monitor.granule(), self.monitor.page(content)
        self.monitor.ok("data_create", self.rd, granule, ipa, source, flags)
        digest = self.hash(content.ljust(GRANULE, b"\0")).digest() if flags & 1 else b""
        self._extend(0, struct.pack("<QQ", ipa, flags) + digest.ljust(64, b"\0"))
        return granule

    def rec(self, **params: int) -> int:
        granule, page = self.monitor.granule(), rec_params(**params)
        self.monitor.ok("rec_create", self.rd, granule, self.monitor.page(page))
        if params.get("flags", 1) & 1:
            measured = bytearray(page)
            measured[0x100:0x108] = bytes(8)
            self._extend(1, self.hash(measured).digest().ljust(64, b"\0"))
        return granule

    def activate(self) -> None:
        self.monitor.ok("realm_activate", self.rd)

    def enter(
        self, rec: int, *, flags: int = 0, gprs: tuple[int, ...] = (), hcr: int = 0, lrs: tuple[int, ...] = ()
    ) -> int:
        """REC_ENTER; its status. The exit half is then in exit_*()."""
        page = bytearray(0x800)
        struct.pack_into("<Q", page, 0, flags)
        struct.pack_into(f"<{len(gprs)}Q", page, 0x200, *gprs)
        struct.pack_into("<Q", page, 0x300, hcr)
        struct.pack_into(f"<{len(lrs)}Q", page, 0x308, *lrs)
        self.monitor.write(self.run, bytes(page))
        return self.monitor.rmi("rec_enter", rec, self.run)[0]

    def exit_word(self, offset: int) -> int:
        return int.from_bytes(self.monitor.read(self.run + 0x800 + offset, 8), "little")

    @property
    def reason(self) -> int:
        return self.exit_word(0) & 0xFF


def compile_core(workshop: Workshop, *flags: str) -> Path:
    """Compile the core and what stands in for the machine."""
    core = [source for source in sorted(SOURCES.glob("*.c")) if source.stem not in TARGET_ONLY]
    sources = [Path(__file__).with_name("arch_host.c"), *core]
    return workshop.program("rmm-host", sources, flags=[*FLAGS, *SANITIZERS, *flags], include=[SOURCES, INCLUDE])


@pytest.fixture(scope="session")
def program(workshop: Workshop) -> Path:
    return compile_core(workshop)


@pytest.fixture
def records_monitor(workshop: Workshop) -> Iterator[Monitor]:
    """One that wraps tokens as later drafts do."""
    running = Monitor(compile_core(workshop, "-DTOKEN_WRAPPER=907"))
    yield running
    running.close()


@pytest.fixture
def monitor(program: Path) -> Iterator[Monitor]:
    running = Monitor(program)
    yield running
    running.close()


@pytest.fixture
def realm(monitor: Monitor) -> Realm:
    return Realm(monitor)


@pytest.fixture
def new_params() -> type:
    """The makers of parameter pages, for tests that want wrong ones."""

    class Makers:
        realm = staticmethod(realm_params)
        rec = staticmethod(rec_params)

    return Makers


@pytest.fixture
def new_realm() -> type[Realm]:
    return Realm
