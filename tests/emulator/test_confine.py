# SPDX-License-Identifier: Apache-2.0
"""The VMM after set-up: nobody's, without capabilities, behind a filter; what it must not do is refused and told."""

from __future__ import annotations

import pytest
from emulated import Bed, build, host, tap_failures

WORLDS = ("realm", "vm")
NOBODY = "65534 65534 65534 65534"
NO_CAPABILITIES = "0000000000000000"
CONFINED = {
    "Uid": NOBODY,
    "Gid": NOBODY,
    "Groups": "",
    "CapInh": NO_CAPABILITIES,
    "CapPrm": NO_CAPABILITIES,
    "CapEff": NO_CAPABILITIES,
    "CapBnd": NO_CAPABILITIES,
    "CapAmb": NO_CAPABILITIES,
    "NoNewPrivs": "1",
    "Seccomp": "2",
}
TASKS = (
    "p=$(cat /run/guest/{world}/pid); for t in /proc/$p/task/*; do echo task; cat $t/status; done; ls /proc/$p/root/"
)


def tasks(bed: Bed, world: str) -> tuple[list[dict[str, str]], str]:
    """The fields of /proc/PID/status of each thread of a guest's VMM, and what it sees of the file system."""
    first, *texts = host(bed, TASKS.format(world=world)).split("task\n")
    assert first == ""
    texts[-1], root = texts[-1].split("console.log", 1)
    found = [dict(line.split(":", 1) for line in text.splitlines() if ":" in line) for text in texts]
    return [{name: " ".join(value.split()) for name, value in fields.items()} for fields in found], root


def check_confined(bed: Bed, vcpus: int) -> None:
    """Realm and normal VM, which are up, until their ends."""
    for world in WORLDS:
        threads, root = tasks(bed, world)
        assert len(threads) >= 1 + vcpus
        for fields in threads:
            assert {name: fields[name] for name in CONFINED} == CONFINED
        # Its own folder is its root; console.log ended the part before, and `orch up` may have asked for statistics.
        assert {"console.sock", "pid"} <= set(root.split()) <= {"console.sock", "pid", "stats.json"}
        asked = bed.orch("status")  # the VMM writes its statistics
        assert "stats [entries" in next(line for line in asked.stdout.splitlines() if line.startswith(world))
        stopped = bed.orch("down", world)
        assert stopped.stdout.startswith(f"{world}: stopped"), stopped.stderr
        left = host(bed, f"cat /run/guest/{world}/exit; ls /run/guest/{world}").split()
        assert left == ["stopped", "console.log", "exit", "pid", "stats.json"]


@pytest.mark.long
def test_a_guest_of_one_vcpu_lives_confined(bed: Bed) -> None:
    """One of two has its turn in test_worlds.py."""
    done = bed.orch("up", "--realm", "--vm")
    assert done.returncode == 0, done.stderr
    check_confined(bed, 1)


def test_what_is_not_for_a_vmm_is_refused_and_told(bed: Bed) -> None:
    assert bed.orch("up").returncode == 0
    bed.put("host", [build(bed, "confine-check") / "confine-check"])
    tap = bed.ask("host", "timeout 120 /tmp/confine-check", 150).stdout
    assert tap_failures(tap) == [], tap
