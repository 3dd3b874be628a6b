# SPDX-License-Identifier: Apache-2.0
"""One measurement in one world of a running machine: deploy, arm, start, wait for the end, fetch the record."""

from __future__ import annotations

import re
import shlex
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.build.graph import file_digest
from orchestrator.errors import BootError, OrchError, WorkloadError
from orchestrator.experiment import collect, gate
from orchestrator.models.record import IncompleteRecordError
from orchestrator.protect.deployable import INPUTS, RESULTS
from orchestrator.schema.disk import tree_of
from orchestrator.shell import ssh
from orchestrator.testbed import probe
from orchestrator.testbed import runtime_disk as disk
from orchestrator.testbed.guest import RUNTIME, GuestName
from orchestrator.testbed.guest_life import ask
from orchestrator.testbed.links import Links
from orchestrator.trace.counter import Counter
from orchestrator.trace.markers import MarkerRecord
from orchestrator.words import INFER, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fabric import Connection

    from orchestrator.experiment.gate import CountedExecution
    from orchestrator.models.record import RunnerRecord
    from orchestrator.protect.deployable import Deployable
    from orchestrator.testbed.testbed import Testbed

_LOOK = 0.05  # s between looks at the counter, which answers without disturbing the machine
_ARM_SECONDS = 60.0
_GO_SECONDS = 30.0


@dataclass(frozen=True)
class Counted:
    """What one measurement left: its markers, the runner's record, the VMM's count of exits by reason.

    `warnings` say what from outside may have been counted as well.
    """

    markers: tuple[MarkerRecord, ...]
    record: RunnerRecord
    exits: Mapping[str, int]
    warnings: tuple[str, ...] = ()


def fingerprint_script() -> str:
    """Shell for a guest, which `read_fingerprint` understands; each program that it starts costs a realm a lot."""
    return "; ".join(
        [
            "read -r line </proc/cmdline; printf 'cmdline %s\\n' \"$line\"",  # it may have quotes, blanks, asterisks
            "echo kernel $(uname -rvm)",
            "echo psci $(tr -d '\\0' </proc/device-tree/psci/method)",
            "echo cpus $(nproc)",
            "read -r name line </proc/meminfo; echo memory $line",
            f"echo runtime $(grep ' {disk.MOUNT} ' /proc/mounts)",
            f"cd /sys/block/{disk.DEVICE.rpartition('/')[2]} && echo runtime_disk $(cat dm/name ro size)",
            "grep -E '^(Features|CPU )' /proc/cpuinfo",
            "cd /sys/devices/system/cpu/cpu0/regs/identification && grep -H . *",
        ]
    )


def read_fingerprint(text: str) -> dict[str, str]:
    """What a guest has said, by name; of the kernel's own lines (`NAME : VALUE`) those of several CPUs are joined."""
    seen: dict[str, str] = {}
    for line in filter(None, text.splitlines()):
        kernels = re.fullmatch(r"(Features|CPU [a-z]+|[a-z0-9_]+)\s*:\s*(.*)", line)
        name, value = kernels.groups() if kernels else line.partition(" ")[::2]
        name = name.replace("CPU ", "cpu_")
        known = seen.get(name)
        seen[name] = value if known in (None, value) else f"{known}, {value}"
    return seen


def guest_of(world: World) -> GuestName | None:
    """The first guest of a world; None for the host."""
    return None if world == World.HOST else GuestName(world)


@dataclass
class Stage:
    """A running machine in which measurements are made one after the other; `say` shows progress as one line."""

    bed: Testbed
    client: Counter
    deploy_seconds: float
    run_seconds: float
    links: Links = field(init=False)
    lives: dict[int, list[MarkerRecord]] = field(default_factory=lambda: defaultdict(list))
    """Markers of creation, boot and end of guests, by the number of their start."""
    bundles: dict[World, Path] = field(default_factory=dict)
    """Which runtime's bundle is where."""
    _base: int = gate.ID_STEP
    _seen: int = 0  # markers that were read

    def __post_init__(self) -> None:
        self.links = self.bed.kept = Links(self.bed)

    def close(self) -> None:
        """Hang up; who asks for a connection gets one of its own again."""
        self.bed.kept = None
        self.links.hang_up()

    @classmethod
    def on(cls, bed: Testbed, *, deploy_seconds: float, run_seconds: float) -> Stage:
        """The machine of `bed`, which is up and counts."""
        return cls(bed, bed.counter(timeout=30.0), deploy_seconds, run_seconds)

    def take_base(self) -> int:
        """Marker ids that nothing else in this machine uses."""
        self._base += gate.ID_STEP
        return self._base

    # --- deploy ---------------------------------------------------------------------------------------------------

    def deploy_runner(self, world: World, bundle: Path) -> None:
        """Have a runtime with its libraries in a world in place of all that was deployed: from its disk, or copied."""
        with self.links.to(world) as link:
            ssh.capture(link, f"rm -rf {gate.FOLDER} && mkdir -p {gate.FOLDER}")
            if self.bed.guests.has_disk(bundle):
                self._mount(link, world)
            else:
                self._put(link, world, bundle, bundle.name)
                folder, name = shlex.quote(gate.FOLDER), shlex.quote(bundle.name)
                ssh.capture(link, f"cd {folder} && tar xzf {name} && rm {name}", self.deploy_seconds)
        self.bundles[world] = bundle

    def _mount(self, link: Connection, world: World) -> None:
        """Every block of the runtime's disk is read here, so that an execution finds it in memory, whatever the world.

        Raises BootError if the world has another disk, or content that is not that of its hashes.
        """
        tree = tree_of(self.bed.guests.source(RUNTIME))
        there = disk.host_script(tree, RUNTIME.path) if world is World.HOST else disk.check_script(tree)
        done = ssh.attempt(
            link, f"{there} && {disk.read_script()} && {gate.link_script(disk.MOUNT)}", self.deploy_seconds
        )
        if done.code:
            raise BootError(f"the {world} cannot use the runtime's disk: {done.words}")

    def need_runner(self, world: World, bundle: Path) -> None:
        """Have this runtime's bundle in a world, and in the host, from where a guest's gate sends the start signal."""
        for each in dict.fromkeys((World.HOST, world)):
            if self.bundles.get(each) != bundle:
                self.deploy_runner(each, bundle)

    def deploy_model(self, world: World, model: Deployable, inputs: Path) -> dict[str, str]:
        """Copy what is delivered of a model, and its inputs, in place of all that was there but the runtime.

        Returns the SHA-256 of each file by its name, as the world itself has computed it; raises BootError if one is
        not that of what was sent.
        """
        sent = {**model.files, INPUTS: inputs}
        with self.links.to(world) as link:
            ssh.capture(link, gate.clear_script())
            for name, source in sent.items():
                self._put(link, world, source, name)
            lines = ssh.capture(link, gate.digest_script(sent), self.deploy_seconds).splitlines()
        arrived = dict(zip(sent, (line.split()[0] for line in lines), strict=True))
        for name, source in sent.items():
            if arrived[name] != file_digest(source):
                raise BootError(f"{name} is not in the {world} what was sent: its SHA-256 there is {arrived[name]}")
        return arrived

    def runtime_of(self, bundle: Path) -> dict[str, str]:
        """What tells a runtime in a run's events: the root hash of its disk, or the SHA-256 of what was copied."""
        if self.bed.guests.has_disk(bundle):
            return {"runtime_root": tree_of(bundle).root_hash}
        return {bundle.name: file_digest(bundle)}

    def _put(self, link: Connection, world: World, source: Path, name: str) -> None:
        try:
            ssh.put(link, source, f"{gate.FOLDER}/{name}", self.deploy_seconds)
        except ssh.StalledError as error:
            raise ssh.StalledError(f"{name} to the {world}: {error.message} (`timeouts.deploy`)") from None

    # --- measure --------------------------------------------------------------------------------------------------

    def count(self, what: CountedExecution, world: World, say: Callable[[str], None]) -> Counted:
        """Run the deployed model as `what` says; raises WorkloadError or BootError with the cause."""
        self.arm(what, world)
        self.bed.instance.send_go(_GO_SECONDS)
        markers = self.await_end(what, say)
        with self.links.to(World.HOST) as host:
            code = ssh.capture(host, f"cat {gate.CODE}").strip()
            noise = ssh.attempt(host, f"[ ! -e {gate.NOISE} ] || cat {gate.NOISE}").stdout.splitlines()
            before, after = (probe.read_stats(ssh.capture(host, f"cat {path}")) for path in gate.EXITS)
        if code != "0":
            self._explain(what, world, code)
        with self.links.to(world) as link:
            text = ssh.capture(link, f"cat {gate.FOLDER}/{RESULTS}", self.deploy_seconds)
        spent = {reason: count - before.get(reason, 0) for reason, count in after.items()}
        record = what.runtime.parse(text)
        return Counted(markers, record, spent, tuple(filter(None, (*noise, record.disturbed))))

    def arm(self, what: CountedExecution, world: World, *, after: int | None = None) -> None:
        """Leave runner and gate waiting, and no connection open.

        The gate waits for the start signal, or for `after` seconds of the machine's time.
        """
        name = guest_of(world)
        with self.links.to(world) as link:
            done = ssh.attempt(link, gate.arm_script(what, name), _ARM_SECONDS)
            if done.code:
                raise WorkloadError(f"the runner did not start: {done.words}")
            said = done.stdout.strip()
        if name is not None:  # its end costs exits, which are not the measurement's
            self.links.hang_up(world)
        with self.links.to(World.HOST) as host:
            ssh.capture(host, gate.gate_script(what, name, clock=int(said) if said else None, after=after))
        self.links.hang_up()

    def await_end(self, what: CountedExecution, say: Callable[[str], None]) -> tuple[MarkerRecord, ...]:
        """State 'measured': the gate's second marker; all markers since the last look."""
        deadline = time.monotonic() + self.run_seconds
        found: list[MarkerRecord] = []
        done, iterations = 0, what.iterations + what.warmups
        while True:
            page = self.look()
            found += page
            if any(each.event == gate.COUNTED and each.id == what.base and each.end for each in page):
                return tuple(found)
            done += sum(each.event == INFER.event and each.end for each in page)
            say(f"inference {done} of {iterations}")
            if time.monotonic() > deadline:
                raise BootError(
                    f"state 'measured': not reached within {self.run_seconds:g} s; {done} of {iterations} inferences",
                    hint="a longer limit is `timeouts.run` in the workload file",
                )
            if not self.bed.instance.status().alive:
                raise BootError(f"the machine ended in a measurement, after {done} of {iterations} inferences")
            time.sleep(_LOOK)

    def _explain(self, what: CountedExecution, world: World, code: str) -> None:
        """Raises the best account of a measurement whose gate ended with `code`."""
        try:
            with self.links.to(world) as link:
                text = ssh.capture(link, f"cat {gate.FOLDER}/{RESULTS}")
        except BootError:  # that of a world that has ended says so
            raise
        except OrchError:
            text = ""
        with self.links.to(World.HOST) as host:
            said = ssh.attempt(host, f"tail -n 1 {gate.LOG}").stdout.strip()
        with suppress(IncompleteRecordError):
            what.runtime.parse(text)
        raise WorkloadError(f"{what.cell.model} in {world}: the gate ended with exit code {code}: {said or 'silent'}")

    def look(self) -> tuple[MarkerRecord, ...]:
        """Markers since the last look; those of guests' lives are kept in `lives`."""
        page = self.client.markers(self._seen)
        self._seen += len(page)
        for each in page:
            if each.event in collect.life_events():
                self.lives[each.id].append(each)
        return page

    def check(self) -> None:
        """Raises OrchError if the counter knows that it counted wrongly or lost markers."""
        self.client.check()

    def granules(self) -> int:
        """How many granules are delegated to the realm world now."""
        with self.links.to(World.HOST) as host:
            count = ask(host).driver.get("granules", "")
        return int(count) if count.isdigit() else 0

    def fingerprint(self, world: World) -> dict[str, str]:
        """What programs see of machine and kernel in a guest, which is to be equal for the twins."""
        with self.links.to(world) as link:
            return read_fingerprint(ssh.capture(link, fingerprint_script()))
