# SPDX-License-Identifier: Apache-2.0
"""Guests with several vCPUs, more than the host has among them: they start, stop, interrupt, work and end the guest."""

from __future__ import annotations

import re

import pytest
from emulated import Bed, host, make_realms_possible
from test_guests import Console, console, status, up, wait_for_end

WORLDS = ("realm", "vm")
RUN = (
    "cd /tmp && echo none >none && rm -rf /run/smp && ./rvmm run --world {world} --dir /run/smp --kernel smp.image "
    "--initrd none --cmdline none --mem 64 --vcpus {vcpus} >/dev/null; cat /run/smp/console.log /run/smp/exit"
)
COUNTERS = "cd /sys/kernel/debug/realm && echo $(cat granules leaked)"


def test_vcpus_without_a_kernel(module_bed: Bed) -> None:
    """Bare vCPUs race each other with CPU_ON, CPU_OFF and SGIs; the last one resets the guest under the others."""
    bed = module_bed
    make_realms_possible(bed, "smp-check")
    for vcpus in (2, 4, 8):
        for world in WORLDS:
            shown = host(bed, RUN.format(world=world, vcpus=vcpus))
            assert "not ok" not in shown, shown
            assert shown.startswith(f"ok vCPUs {vcpus}\n"), shown
            assert shown.endswith("ok things went wrong 0\nsmp done\nreset\n"), shown
    assert host(bed, COUNTERS) == "0 0\n"


def interrupts(guest: Console, vcpus: int) -> list[int]:
    """Function call and rescheduling interrupts that each vCPU has had."""
    lines = guest.say("grep -E 'IPI[01]:' /proc/interrupts").splitlines()
    counts = [[int(word) for word in line.split()[1 : vcpus + 1]] for line in lines]
    assert len(counts) == 2, lines
    return [sum(each) for each in zip(*counts, strict=True)]


def check_work(guest: Console, vcpus: int) -> None:
    """All vCPUs at once, each its own hash of the same bytes; they have to interrupt each other for it."""
    assert guest.say("nproc") == str(vcpus)
    before = interrupts(guest, vcpus)
    cpus = " ".join(str(cpu) for cpu in range(vcpus))
    work = 'dd if=/dev/zero bs=64k count=160 2>/dev/null | sha256sum; echo on $(cut -d" " -f39 /proc/self/stat)'
    shown = guest.say(f"for c in {cpus}; do taskset -c $c sh -c '{work}' & done; wait", 120)
    hashes = re.findall(r"^([0-9a-f]{64})  -", shown, re.MULTILINE)
    assert len(hashes) == vcpus, shown
    assert len(set(hashes)) == 1
    assert {int(cpu) for cpu in re.findall(r"on (\d+)", shown)} == set(range(vcpus))
    after = interrupts(guest, vcpus)
    assert all(new > old for old, new in zip(before, after, strict=True)), (before, after)


@pytest.mark.parametrize(
    ("world", "vcpus", "end"),
    [("realm", 4, "poweroff"), pytest.param("vm", 4, "poweroff", marks=pytest.mark.long), ("realm", 2, "reboot")],
)
def test_linux(module_bed: Bed, world: str, vcpus: int, end: str) -> None:
    bed = module_bed
    up(bed, f"--{world}", "--vcpus", str(vcpus), "--mem", "128")
    with console(bed, world) as guest:
        guest.until("guest-ready")
        check_work(guest, vcpus)
        guest.type(f"taskset -c {vcpus - 1} {end} -f\n")
        assert wait_for_end(bed, world)["state"] == ("off" if end == "poweroff" else "reset")
    if world == "realm":
        assert (status(bed)["driver"]["granules"], status(bed)["driver"]["leaked"]) == (0, 0)


def test_killed_with_eight_vcpus_at_work(module_bed: Bed) -> None:
    """Four vCPUs to each CPU of the host, none of them idle."""
    bed = module_bed
    up(bed, "--realm", "--vcpus", "8", "--mem", "128")
    with console(bed, "realm") as guest:
        guest.until("guest-ready")
        check_work(guest, 8)
        guest.say("for c in 0 1 2 3 4 5 6 7; do taskset -c $c sh -c 'while :; do :; done' & done")
        host(bed, f"kill -KILL {status(bed)['realm']['pid']}")
        assert wait_for_end(bed, "realm")["state"] == "lost"
    assert host(bed, COUNTERS) == "0 0\n"
    up(bed, "--realm", "--mem", "128")
