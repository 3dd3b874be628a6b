# SPDX-License-Identifier: Apache-2.0
"""Machines of one testbed beside each other, as workers of a run have them: apart, alike, and gone with their owner."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from emulated import Bed

from orchestrator.build.progress import Silent
from orchestrator.machine.needs import needs_of
from orchestrator.machine.process import ProcessId
from orchestrator.testbed import testbed
from orchestrator.testbed.project import Project

GONE = 10.0  # s that the machines of a dead process may take to end
RAM_MIB = 3072

# Two deterministic machines, each with a guest that has all of its memory, and a process that waits to be killed.
OWNER = """
import json, sys
from pathlib import Path
from orchestrator.build.progress import Silent
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed, UpOptions
from orchestrator.words import World
file, *folders = map(Path, sys.argv[1:])
for folder in folders:
    bed = Testbed(Project.open(file).with_state(folder), Silent())
    bed.up(UpOptions(fresh=True, deterministic=True, count=True, tied=True))
    bed.guests.start(GuestName(World.REALM), GuestOptions(pretouch=True))
    print(json.dumps(bed.counter().counters().tally.total > 0), flush=True)
sys.stdin.read()
"""


def memory_mib(process: ProcessId) -> tuple[int, int]:
    """Resident memory of an emulator: the machine's RAM, and everything else."""
    text = Path(f"/proc/{process.pid}/smaps").read_text(encoding="utf-8")
    ram = rest = 0
    for area in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M)[1:]:
        size, resident = (int(re.search(rf"^{key}: +(\d+) kB", area, re.M)[1]) for key in ("Size", "Rss"))  # type: ignore[index]
        if size == RAM_MIB << 10:
            ram += resident
        else:
            rest += resident
    return ram >> 10, rest >> 10


def test_two_machines_are_apart_alike_and_gone_with_their_owner(bed: Bed, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, bed.file, *folders], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert [json.loads(owner.stdout.readline()) for _ in folders] == [True, True]
        beds = [testbed.Testbed(Project.open(bed.file).with_state(folder), Silent()) for folder in folders]
        assert len({each.need_running()["ssh_port"] for each in beds}) == 2
        assert (folders[0] / "overlay.cpio").read_bytes() == (folders[1] / "overlay.cpio").read_bytes()
        stated = [each.instance.status() for each in beds]
        needs = needs_of(beds[0].project.config, deterministic=True)
        for now in stated:
            assert now.emulator is not None
            ram, rest = memory_mib(now.emulator)
            assert 256 < ram <= RAM_MIB
            assert rest + (now.supervisor_rss >> 20) < needs.memory_mib - RAM_MIB
    finally:
        owner.kill()
        killed = time.monotonic()
        owner.wait()
    processes = [each for now in stated for each in (now.supervisor, now.emulator) if each is not None]
    assert len(processes) == 4
    assert all(each.wait_gone(killed + GONE - time.monotonic()) for each in processes)
    assert not any(each.instance.sockets.exists() for each in beds)  # type: ignore[attr-defined]
    assert [each.running() for each in beds] == [None, None]
