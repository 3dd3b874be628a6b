# SPDX-License-Identifier: Apache-2.0
"""`make soak`: two realms and a normal VM at once, each under load of CPU, memory and network, for a while.

Whatever is computed, stored or sent is checked; at the end kernels have nothing to complain of, clocks agree, and the
guests leave nothing in the host.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.progress import Silent
from orchestrator.errors import OrchError
from orchestrator.shell.ssh import capture, get, put
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed, UpOptions
from orchestrator.words import GUEST_WORLDS, World

if TYPE_CHECKING:
    from fabric import Connection

NAMES = (GuestName(World.REALM), GuestName(World.REALM, 2), GuestName(World.VM))
OPTIONS = GuestOptions(memory_mib=128, vcpus=2)
COMPLAINTS = re.compile(
    r"rcu.*(stall|starved)|BUG|WARNING|Oops|hung task|soft lockup|Internal error|corrupt", re.IGNORECASE
)
FILE_BYTES = 1 << 20
# A run of so many seconds begins with a large file.
LONG, LARGE_BYTES = 300, 50 << 20
# A guest's clock may be behind by what its last report is old.
CLOCK_SECONDS = 2.0
LIMIT = 300.0  # s for one command in a busy guest

# Rounds of work until the file `stop` is there; each is counted once its result was right, else its name is in `wrong`.
# Memory: two files of 24 MiB in a file system in memory, the same block over and over, a new one each round.
LOAD = """
cd /tmp; rm -f stop wrong *.done; echo 0 >cpu; echo 0 >memory
digest=$(sha256sum </usr/bin/busybox)
work() {
    n=0
    while [ ! -e stop ]; do
        if $1; then n=$((n + 1)); else echo $1 >>wrong; fi
    done
    echo $n >$1; touch $1.done
}
cpu() { [ "$(sha256sum </usr/bin/busybox)" = "$digest" ]; }
memory() {
    head -c 1048576 /dev/urandom >block
    for i in $(seq 24); do cat block; done >page.a && cp page.a page.b && cmp page.a page.b; same=$?
    rm -f page.a page.b; return $same
}
work cpu </dev/null >/dev/null 2>&1 &
work memory </dev/null >/dev/null 2>&1 &
"""
# Both end with the round that they are in.
FINISH = "cd /tmp; touch stop; until [ -e cpu.done ] && [ -e memory.done ]; do sleep 0.1; done"


@dataclass
class Tally:
    """What one guest did: rounds that were right, and what was wrong."""

    cpu: int = 0
    memory: int = 0
    network: int = 0
    wrong: list[str] = field(default_factory=list)


def uptime(link: Connection) -> float:
    """The clock of a world since its boot, s."""
    return float(capture(link, "cut -d' ' -f1 /proc/uptime", LIMIT))


def transfer(link: Connection, name: GuestName, folder: Path, size: int) -> bool:
    """A random file into the guest and back by SFTP; whether it is the same on all three sides."""
    sent, back = folder / f"{name}.sent", folder / f"{name}.back"
    sent.write_bytes(os.urandom(size))
    digest = hashlib.sha256(sent.read_bytes()).hexdigest()
    put(link, sent, "/tmp/file")
    there = capture(link, "sha256sum /tmp/file", LIMIT).split()[0]
    get(link, "/tmp/file", back)
    capture(link, "rm /tmp/file", LIMIT)
    return there == digest == hashlib.sha256(back.read_bytes()).hexdigest()


def exchange(link: Connection, name: GuestName, folder: Path, end: float, tally: Tally) -> None:
    """Files there and back until `end`."""
    while time.monotonic() < end or tally.network == 0:
        if not transfer(link, name, folder, FILE_BYTES):
            tally.wrong.append("network: a file changed on its way")
        tally.network += 1


def burden(testbed: Testbed, name: GuestName, seconds: float, folder: Path) -> Tally:
    """Put one guest under load for so long, on a connection of its own."""
    tally = Tally()
    with testbed.world(str(name)).link(LIMIT) as link, testbed.host(LIMIT) as host:
        if seconds >= LONG and not transfer(link, name, folder, LARGE_BYTES):  # it and the load do not fit together
            tally.wrong.append("network: the large file changed on its way")
        begin = uptime(host), uptime(link)
        capture(link, LOAD, LIMIT)
        exchange(link, name, folder, time.monotonic() + seconds, tally)
        capture(link, FINISH, LIMIT)
        outside = uptime(host) - begin[0]
        inside = uptime(link) - begin[1]
        if abs(outside - inside) > CLOCK_SECONDS + outside / 20:
            tally.wrong.append(f"clock: {inside:.1f} s went by in there, {outside:.1f} s in the host")
        tally.cpu, tally.memory = (int(capture(link, f"cat /tmp/{what}", LIMIT)) for what in ("cpu", "memory"))
        tally.wrong += capture(link, "cat /tmp/wrong 2>/dev/null || true", LIMIT).split()
        tally.wrong += complaints(link)
    tally.wrong += [f"no round of {what}" for what in ("cpu", "memory", "network") if not getattr(tally, what)]
    return tally


def complaints(link: Connection) -> list[str]:
    """Lines of the kernel's log that should not be there."""
    lines = capture(link, "dmesg", LIMIT).splitlines()
    return [line for line in lines if COMPLAINTS.search(line) and "Kernel command line:" not in line]


def soak(testbed: Testbed, seconds: float) -> list[str]:
    """Run the whole; prints what each guest did and returns what was wrong."""
    testbed.guests.build(list(GUEST_WORLDS))
    testbed.up(UpOptions())
    for name in NAMES:
        testbed.guests.start(name, OPTIONS)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(NAMES)) as pool:
        jobs = {name: pool.submit(burden, testbed, name, seconds, Path(folder)) for name in NAMES}
        try:
            tallies = {name: job.result() for name, job in jobs.items()}
        except BaseException:
            testbed.down()  # the other jobs end with their connections, and the pool waits for them
            raise
    wrong = []
    for name, tally in tallies.items():
        print(f"{name}: {tally.cpu} rounds of CPU, {tally.memory} of memory, {tally.network} MiB there and back")
        wrong += [f"{name}: {what}" for what in tally.wrong]
    for name in NAMES:
        testbed.guests.stop(name)
    driver = testbed.guests.status()["driver"]
    print(f"afterwards: {driver['granules']} granules delegated, {driver['leaked']} leaked")
    if driver["granules"] or driver["leaked"]:
        wrong.append(f"host: left behind: {driver}")
    with testbed.host() as link:
        wrong += [f"host: {line}" for line in complaints(link)]
    return wrong


def main() -> int:
    """Run in a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long each guest is under load [600]")
    parser.add_argument("--testbed", type=Path, help="testbed file [the checkout's]")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes the machine down, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="orch-soak-") as state:
        os.environ["XDG_STATE_HOME"] = state
        testbed = Testbed(Project.open(options.testbed), Silent())
        try:
            wrong = soak(testbed, options.seconds)
        except OrchError as error:
            wrong = [error.message]
        finally:
            testbed.down()
    for line in wrong:
        print(f"wrong: {line}")
    print("nothing was wrong" if not wrong else f"{len(wrong)} things were wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
