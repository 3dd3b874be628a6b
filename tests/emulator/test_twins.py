# SPDX-License-Identifier: Apache-2.0
"""The twins see one and the same CPU: ID registers of realm, normal VM and host, each read by its own kernel.

The guests run a kernel that prints them and switches itself off (idregs); the host's come from a module (idregs-host).
"""

from __future__ import annotations

import re

import pytest
from emulated import Bed, build, host

WORLDS = ("realm", "vm")
Registers = dict[str, int | None]  # None: undefined

MPIDR, REVIDR = "S3_0_C0_C0_5", "S3_0_C0_C0_6"
# What a CPU is, rather than what it can do: alike for everyone on it.
IDENTITY = ("S3_0_C0_C0_0", "S3_3_C0_C0_1", "S3_3_C0_C0_7", "S3_3_C14_C0_0")
# Fields of four bits where 0xf means "not there" (Arm ARM, D24.2): PFR0.{FP,AdvSIMD}, DFR0.DoubleLock,
# MMFR0.{TGran4,TGran64}, MMFR4.E2H0.
SIGNED = {
    "S3_0_C0_C4_0": (16, 20),
    "S3_0_C0_C5_0": (36,),
    "S3_0_C0_C7_0": (24, 28),
    "S3_0_C0_C7_4": (24,),
}
SECONDS = 60


def parse(text: str) -> Registers:
    """Registers by their names, from a console or the module."""
    lines = re.findall(r"^(S3_\d_C\d+_C\d_\d) (0x[0-9a-f]+|undefined)\s*$", text, re.MULTILINE)
    return {name: None if value == "undefined" else int(value, 16) for name, value in lines}


def fields(name: str, value: int) -> list[int]:
    """The sixteen fields of an ID register, as numbers of which a greater one means more."""
    found = []
    for low in range(0, 64, 4):
        field = value >> low & 15
        found.append(field - 16 if low in SIGNED.get(name, ()) and field > 7 else field)
    return found


def run_guest(bed: Bed, world: str) -> str:
    """Run the guest kernel to its power-off; returns its console."""
    folder = f"/tmp/idregs-{world}"
    command = (
        f"mkdir -p {folder} && echo none >/tmp/none && /tmp/rvmm run --world {world} --dir {folder} "
        f"--kernel /tmp/Image --initrd /tmp/none --cmdline none --mem 64 </dev/null; cat {folder}/console.log"
    )
    done = bed.ask("host", command, SECONDS)
    assert "idregs done" in done.stdout, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def registers(module_bed: Bed) -> dict[str, Registers]:
    """What realm, VM and host see; one machine for all tests here."""
    bed = module_bed
    done = bed.orch("up")
    assert done.returncode == 0, done.stderr
    modules = (("idregs-host", "idregs_host.ko"), ("realm-driver", "realm.ko"))
    files = (*modules, ("idregs", "Image"), ("rvmm", "rvmm"))
    bed.put("host", [build(bed, node) / name for node, name in files])
    for _, name in modules:
        host(bed, f"insmod /tmp/{name}")
    shown = host(bed, "cat /sys/kernel/debug/idregs")
    return {"host": parse(shown)} | {world: parse(run_guest(bed, world)) for world in WORLDS}


def test_all_were_read(registers: dict[str, Registers]) -> None:
    assert len(registers["host"]) == 7 * 8 + 9
    for world in WORLDS:
        assert len(registers[world]) == 8 * 8 + 6, world


def test_twins_are_equal(registers: dict[str, Registers]) -> None:
    realm, vm = registers["realm"], registers["vm"]
    shown = {name: (show(realm[name]), show(vm[name])) for name in realm if realm[name] != vm[name] and name != REVIDR}
    assert not shown, f"realm and VM differ: {shown}"


@pytest.mark.parametrize("world", WORLDS)
def test_guests_see_the_hosts_cpu(registers: dict[str, Registers], world: str) -> None:
    for name in IDENTITY:
        assert registers[world][name] == registers["host"][name], name
    mpidr = registers[world][MPIDR]
    assert mpidr is not None
    assert mpidr & 0xFFFFFF == 0


@pytest.mark.parametrize("world", WORLDS)
def test_the_host_has_all_that_guests_have(registers: dict[str, Registers], world: str) -> None:
    more = {}
    for crm in range(1, 8):
        for op2 in range(8):
            name = f"S3_0_C0_C{crm}_{op2}"
            guest, host = registers[world][name], registers["host"][name]
            assert guest is not None, f"{name} must be readable"
            assert host is not None
            if any(a > b for a, b in zip(fields(name, guest), fields(name, host), strict=True)):
                more[name] = (show(guest), show(host))
    assert not more, f"the {world} has what the host has not: {more}"


@pytest.mark.parametrize("world", WORLDS)
def test_pointer_authentication_is_the_cpus(registers: dict[str, Registers], world: str) -> None:
    """APA, API, GPA and GPI of ISAR1: as the host has them, and it has some."""
    guest, host = registers[world]["S3_0_C0_C6_1"], registers["host"]["S3_0_C0_C6_1"]
    assert guest is not None
    assert host is not None
    assert guest & 0xFF000FF0 == host & 0xFF000FF0 != 0


def show(value: int | None) -> str:
    return "undefined" if value is None else f"{value:#018x}"


def test_parsing() -> None:
    text = "noise\nS3_0_C0_C4_0 0x0000000000000011\r\nS3_0_C0_C0_1 undefined\nS3_3_C14_C0_0 0x3b9aca00\n"
    assert parse(text) == {"S3_0_C0_C4_0": 0x11, "S3_0_C0_C0_1": None, "S3_3_C14_C0_0": 10**9}
    assert fields("S3_0_C0_C4_0", 0xFF0011)[:6] == [1, 1, 0, 0, -1, -1]
