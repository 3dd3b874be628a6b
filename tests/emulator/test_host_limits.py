# SPDX-License-Identifier: Apache-2.0
"""Several guests on one host, a host without memory, and one that goes down under a realm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulated import Bed, host, make_realms_possible

RUN = (
    "/tmp/rvmm run --world {world} --dir /run/{name} --kernel /usr/lib/guest/Image --initrd /usr/lib/guest/initrd "
    "--cmdline 'console=ttyAMA0 swiotlb=1024 nokaslr arm64.nomops quiet' --mem {mib} --detach {more}"
)
READY = "/tmp/rvmm wait /run/{name} guest-ready 90"
COUNTERS = "cd /sys/kernel/debug/realm && echo $(cat granules leaked)"
TROUBLE = "dmesg | grep -E 'Oops|WARNING|BUG:|hung task|leaked' | head; true"
# Fill the host's memory but for so many MiB.
FREE_MIB = "$(( $(awk '/MemAvailable/ {{ print $2 }}' /proc/meminfo) / 1024 - {left} ))"
FILL = (
    "mkdir -p /fill && mount -t tmpfs -o size=100% fill /fill && "
    f"dd if=/dev/zero of=/fill/all bs=1M count={FREE_MIB} 2>/dev/null"
)
# Type a line on a guest's console and wait for what it makes appear; without a terminal there is no key to leave with.
TYPE = (
    "printf '{keys}\\n' | /tmp/rvmm console /run/{name} >/dev/null & console=$!; "
    "/tmp/rvmm wait /run/{name} '{shown}' 30; kill $console"
)
UNTIL = "i=0; until {condition}; do i=$((i + 1)); [ $i -lt 2000 ] || exit 1; sleep 0.1; done"
HOLD = f"""
/tmp/driver-check hold & hold=$!
{UNTIL.format(condition="[ $(cat /sys/kernel/debug/realm/granules) -gt 4 ]")}
rmmod realm 2>/dev/null && echo unloaded
kill -KILL $hold; wait $hold
rmmod realm && echo gone
"""


def start(bed: Bed, world: str, name: str, mib: int, more: str = "") -> None:
    host(bed, RUN.format(world=world, name=name, mib=mib, more=more))
    host(bed, READY.format(name=name))


def stats(bed: Bed, name: str) -> dict[str, Any]:
    """What a guest's VMM counts, now."""
    asked = (
        f"cd /run/{name} && rm -f stats.json && kill -USR1 $(cat pid); {UNTIL.format(condition='[ -e stats.json ]')}"
    )
    figures: dict[str, Any] = json.loads(host(bed, f"{asked}; cat stats.json"))
    return figures


def check_alive(bed: Bed, name: str) -> None:
    """It does what is typed on its console, by being entered."""
    before = stats(bed, name)["entries"]
    host(bed, TYPE.format(keys='echo al""ive', name=name, shown="alive"))
    assert stats(bed, name)["entries"] > before


@pytest.mark.timeout(400)
@pytest.mark.long
def test_three_realms_and_a_vm(bed: Bed) -> None:
    """The end of one, told or killed, is nothing to the others."""
    make_realms_possible(bed)
    for name in ("one", "two", "three"):
        start(bed, "realm", name, 64)
    start(bed, "vm", "four", 64)
    host(bed, "kill -KILL $(cat /run/two/pid); /tmp/rvmm stop /run/three 60")
    check_alive(bed, "one")
    start(bed, "realm", "five", 1024)
    host(bed, "/tmp/rvmm stop /run/one 60")
    for name in ("four", "five"):
        check_alive(bed, name)
    host(bed, "/tmp/rvmm stop /run/five 60; /tmp/rvmm stop /run/four 60")
    assert host(bed, COUNTERS) == "0 0\n"
    assert host(bed, TROUBLE) == ""


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_phases_of_the_start_are_timed(module_bed: Bed, world: str) -> None:
    bed = module_bed
    make_realms_possible(bed)
    for more in ("", "--pretouch"):
        start(bed, world, "one", 32, more)
        phases = stats(bed, "one")["time_us"]
        assert list(phases) == ["create", "populate", "pretouch", "activate"]
        assert phases["populate"] > 0
        assert (phases["pretouch"] > 0) == bool(more)
        host(bed, "/tmp/rvmm stop /run/one 60")


def test_the_driver_stays_while_a_realm_is_open(module_bed: Bed) -> None:
    """The module cannot be unloaded under a realm, and can be after it."""
    bed = module_bed
    make_realms_possible(bed, "driver-check")
    assert host(bed, HOLD) == "gone\n"


def test_no_memory(module_bed: Bed) -> None:
    """While pre-touching, and under a realm that runs: the VMM alone goes, by its own word, and nothing is lost."""
    bed = module_bed
    make_realms_possible(bed)
    start(bed, "realm", "big", 1024)
    host(bed, FILL.format(left=150))
    refused = bed.ask("host", RUN.format(world="realm", name="two", mib=512, more="--pretouch"))
    assert refused.code == 1
    assert "realm: no memory in the host: memory" in refused.stderr
    check_alive(bed, "big")
    host(bed, TYPE.format(keys='echo fil""ling; dd if=/dev/zero of=/tmp/x bs=1M', name="big", shown="filling"))
    host(bed, UNTIL.format(condition="[ -e /run/big/exit ]"), timeout=240)
    assert host(bed, "cat /run/big/exit") == "error: realm: no memory in the host: memory\n"
    assert host(bed, COUNTERS) == "0 0\n"
    assert host(bed, "dmesg | grep -i 'killed process'; true") == ""
    assert host(bed, TROUBLE) == ""
    host(bed, "umount /fill")
    start(bed, "realm", "small", 64)
    host(bed, "/tmp/rvmm stop /run/small 60")


def test_the_host_switches_off_under_a_realm(module_bed: Bed) -> None:
    """Its processes are not ended first: the driver takes the realm apart, and says so."""
    bed = module_bed
    make_realms_possible(bed)
    start(bed, "realm", "four", 64, "--vcpus 4")
    bed.orch("ssh", "host", "--", "dmesg -n 8; poweroff -f", timeout=60)
    assert "realm: the host goes down: 1 realms ended, 0 granules still delegated" in bed.orch("logs", "uart0").stdout
