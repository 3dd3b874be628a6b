# SPDX-License-Identifier: Apache-2.0
"""Prove that a built machine is what it should be: boot it, look into every world, shut it down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.build.cache import key_of, make_folder
from orchestrator.errors import BootError, BuildError, UsageError
from orchestrator.machine.platform import Capability
from orchestrator.shell.ssh import capture
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.testbed import UpOptions
from orchestrator.trace.markers import pair_markers
from orchestrator.trace.table import phases_table, totals_table
from orchestrator.trace.tally import SecurityState
from orchestrator.words import BOOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fabric import Connection

    from orchestrator.build.graph import Node
    from orchestrator.testbed.testbed import Testbed

_CHECKS = (
    ("Linux runs at NS-EL2 with VHE", "dmesg | grep -q 'VHE mode initialized' && echo yes", "yes"),
    ("KVM is there", "test -c /dev/kvm && echo yes", "yes"),
    ("the RMM's memory is reserved", "test -d /proc/device-tree/reserved-memory && echo yes", "yes"),
)


def check_machine(testbed: Testbed, also: Sequence[Node] = ()) -> list[str]:
    """Build, boot cold with the counter, check, shut down; pins substituted on the way are kept only if all holds.

    Returns lines for people. A machine whose very artifacts and command line passed before is not booted again. Nodes
    in `also` are built beside the machine's own and those of guests.
    """
    try:
        artifacts = testbed.build([*testbed.guests.nodes(testbed.guests.possible()), *also])
        stamp = _stamp(testbed, artifacts)
        if stamp.exists():
            return ["checked before: nothing changed since"]
        if testbed.running() is not None:
            raise UsageError("the machine is up, and the check boots its own", hint="`orch down` first")
        lines = _boot_and_check(testbed)
    except (BootError, BuildError):
        testbed.packages.reject_substitutions()
        raise
    testbed.packages.accept_substitutions()
    make_folder(stamp.parent)
    stamp.touch()
    return lines


def _stamp(testbed: Testbed, artifacts: dict[str, Path]) -> Path:
    """A file that exists once this machine has passed; keys and overlay of the testbed do not matter here."""
    config = testbed.project.config.model_dump(mode="json", exclude={"ssh", "timeouts", "name"})
    key = key_of({"artifacts": {name: str(path) for name, path in artifacts.items()}, "config": config})
    return testbed.cache.root / "checked" / key


def _boot_and_check(testbed: Testbed) -> list[str]:
    options = UpOptions(fresh=True, count=testbed.able(Capability.COUNT))
    try:
        result = testbed.up(options)
        with testbed.host() as link:
            lines = [f"booted cold, SSH answered after {result.seconds:.1f} s", *_world_checks(testbed, link)]
        for world in testbed.guests.possible():
            lines.append(_guest_check(testbed, GuestName(world)))
    finally:
        testbed.down()
    return lines


def _guest_check(testbed: Testbed, name: GuestName) -> str:
    seconds = testbed.guests.start(name, GuestOptions()).seconds
    with testbed.world(str(name)).link() as link:
        capture(link, "true")
    return f"ok: the {name} has booted Linux, SSH answered after {seconds:.1f} s"


def _world_checks(testbed: Testbed, link: Connection) -> Iterator[str]:
    for what, command, expected in _CHECKS:
        if capture(link, f"{command} || true").strip() != expected:
            raise BootError(f"boot check failed: {what}", hint=f"command: {command}")
        yield f"ok: {what}"
    if not testbed.able(Capability.COUNT):
        return
    by_world = testbed.counter().counters().tally.by_state()
    for world in (SecurityState.NON_SECURE, SecurityState.REALM, SecurityState.ROOT):
        count = by_world[world]
        if count == 0:
            raise BootError(f"boot check failed: no instruction was executed in the {world} world")
        yield f"ok: the {world} world executed {count:,} instructions"


def demonstrate(testbed: Testbed) -> Iterator[str]:
    """Boot machine and guests with the counter, show who runs where, take it down; one that is up is only looked at."""
    yield from check_machine(testbed)
    was_up = testbed.running() is not None
    counted = testbed.able(Capability.COUNT) and not was_up
    result = testbed.up(UpOptions(fresh=True, count=counted)) if not was_up else None
    try:
        if result:
            yield f"booted cold, SSH answered after {result.seconds:.1f} s"
        with testbed.host() as link:
            yield f"host: {capture(link, 'uname -srm').strip()}, {capture(link, 'nproc').strip()} CPUs"
            yield f"up for {capture(link, 'cut -d. -f1 /proc/uptime').strip()} s of its own time"
        if result:
            yield from _demonstrate_guests(testbed)
        if counted:
            yield "instructions since power-on, by world and exception level:"
            yield from totals_table(testbed.counter().counters())
    finally:
        if result:
            testbed.down()


def _demonstrate_guests(testbed: Testbed) -> Iterator[str]:
    """The twins boot, each alone in the host; what that took, in instructions of everyone."""
    for world in testbed.guests.possible():
        start = testbed.guests.start(GuestName(world), GuestOptions())
        with testbed.world(str(world)).link() as link:
            yield f"{world}: {capture(link, 'uname -srm').strip()}, SSH answered after {start.seconds:.1f} s"
        testbed.guests.stop(GuestName(world))
    if not testbed.able(Capability.COUNT):
        return
    status = testbed.guests.status()
    names = {status[str(world)]["run"]: str(world) for world in testbed.guests.possible()}
    boots = [each for each in testbed.counter().markers() if each.event == BOOT.event]
    yield "instructions of the guests' boots, from their first one to the shell:"
    yield from phases_table("boot of", {names[pair.begin.id]: pair.delta for pair in pair_markers(boots)})
