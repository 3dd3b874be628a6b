# SPDX-License-Identifier: Apache-2.0
"""The guests of a testbed: what they are made of, their lives, how they stand; realm and normal VM alike."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.attest.policies import read_policy
from orchestrator.build.graph import file_digest
from orchestrator.errors import AttestationError, BootError, OrchError, UsageError
from orchestrator.machine.platform import DEFAULT_SEED
from orchestrator.schema.disk import tree_of
from orchestrator.schema.testbed import Guest, Vmm
from orchestrator.shell import ssh
from orchestrator.shell.keys import public_blob
from orchestrator.testbed import guest
from orchestrator.testbed.attestation import attest
from orchestrator.testbed.guest import DISK, KERNEL, RUNTIME, GuestFile, GuestName, Start
from orchestrator.testbed.guest_life import GuestLife, ask, check_memory, needs_driver, promised_mib
from orchestrator.testbed.guest_record import GuestRecord
from orchestrator.testbed.probe import GuestReport, GuestState
from orchestrator.words import GUEST_WORLDS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fabric import Connection

    from orchestrator.build.graph import Node
    from orchestrator.schema.attestation import AttestationPolicy
    from orchestrator.schema.disk import DiskTree
    from orchestrator.testbed.testbed import Testbed

SECTOR_BYTES = 512
"""Of a virtio disk, whatever the blocks of what is on it."""
_ANSWER = 10.0  # s for the host to answer when it goes down anyway
FIRST = tuple(GuestName(world) for world in GUEST_WORLDS)


@dataclass(frozen=True)
class GuestOptions:
    """What the command line asks for; None leaves it to the testbed file."""

    memory_mib: int | None = None
    vcpus: int | None = None
    pretouch: bool = False


@dataclass(frozen=True)
class GuestStart:
    """How a guest came up: 'started' or 'already up'; seconds to an answered SSH command; its key's fingerprint.

    `attested`: it has proved itself, and that the key is its own.
    """

    how: str
    seconds: float
    fingerprint: str | None = None
    attested: bool = False


class Guests:
    """The guests of one testbed; everything about them that outlives a command is in its state folder."""

    def __init__(self, testbed: Testbed) -> None:
        self._bed = testbed
        self.record = GuestRecord(testbed.state / "guests", testbed.progress)
        self._told_of_disk = False

    # --- what is asked for ----------------------------------------------------------------------------------------

    def config(self, options: GuestOptions, base: Guest | None = None) -> Guest:
        """The testbed file's guest (`base`) with the command line's changes; raises UsageError if it does not fit."""
        asked = {"memory_mib": options.memory_mib, "vcpus": options.vcpus}
        changes = {key: value for key, value in asked.items() if value is not None}
        try:
            return Guest.model_validate((base or self._bed.project.config.guest).model_dump() | changes)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(f"guest: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None

    def command_line(self, options: GuestOptions) -> str:
        """The kernel command line of a guest of this testbed, whose key it holds."""
        self._bed.keys.ensure()
        return guest.kernel_command_line(self.config(options), public_blob(self._bed.keys.user), self.runtime_tree())

    def runtime_tree(self) -> DiskTree | None:
        """That of the runtime's disk, which is made if need be; None if guests of this testbed have no such disk."""
        if not self._bed.project.mounts_runtime:
            return None
        image = self.source(RUNTIME)
        if not image.exists():
            self._bed.builder.build(list(self._bed.project.guest_nodes(self._bed.graph, [RUNTIME]).values()))
        return tree_of(image)

    def plan(self, name: GuestName, options: GuestOptions, *, seed: int | None) -> Start:
        """The next start; `seed` is that of a deterministic machine, from which the guest's entropy follows as well.

        Raises UsageError if the VMM that runs this guest cannot do what is asked for.
        """
        foreign = self._foreign(name.world)
        if foreign is not None and options.pretouch:
            raise UsageError(f"--pretouch: the {name} is run by stack.vmm, which does not know it")
        return Start(
            name=name,
            config=self.config(options),
            command_line=self.command_line(options),
            run=int(self.record.load()["runs"]) + 1,
            pretouch=options.pretouch,
            seed=seed,
            foreign=foreign,
            runtime=self._bed.project.mounts_runtime,
        )

    def _foreign(self, world: World) -> Vmm | None:
        """The VMM that replaces ours in this world, if one does."""
        vmm = self._bed.project.config.stack.vmm
        return vmm if vmm is not None and str(world) in vmm.worlds else None

    def possible(self) -> list[World]:
        """The worlds that this testbed can have a guest in: the driver fits our own host kernel only."""
        own_kernel = self._bed.project.config.stack.host_kernel is None
        return [world for world in GUEST_WORLDS if own_kernel or not needs_driver(world)]

    def build(self, worlds: list[World]) -> None:
        """Make what these guests need; raises UsageError where a ready-made part rules them out."""
        if not set(worlds) <= set(self.possible()):
            raise UsageError("realm: the driver fits our own host kernel only, and stack.host_kernel replaces it")
        self._bed.builder.build(self.nodes(worlds))

    def nodes(self, worlds: list[World]) -> list[Node]:
        """What has to be built for guests of these worlds."""
        files = [file for world in worlds for file in guest.files_for(world)]
        return list(self._bed.project.guest_nodes(self._bed.graph, files).values())

    def source(self, file: GuestFile) -> Path:
        """Where a guest's file is on the build computer, once it is built."""
        project = self._bed.project
        if file is KERNEL and project.config.stack.guest_kernel is not None:
            return project.path(project.config.stack.guest_kernel)
        node = project.guest_nodes(self._bed.graph, [file])[file.node]
        return self._bed.builder.artifact(node) / file.name

    def has_disk(self, file: Path) -> bool:
        """Whether guests of this testbed have that file as their runtime's disk."""
        return self._bed.project.mounts_runtime and file == self.source(RUNTIME)

    # --- up and down ----------------------------------------------------------------------------------------------

    @contextmanager
    def _working(self, timeout: float | None = None) -> Iterator[GuestLife]:
        """A connection to the host on which guests are started and ended."""
        with self._bed.host(timeout) as link:
            yield GuestLife(link, self.record, self._bed.project.config.timeouts)

    def start(self, name: GuestName, options: GuestOptions) -> GuestStart:
        """Start a guest in the running host and wait until its SSH answers; one that runs already is left alone."""
        machine = self._bed.need_running()["options"]
        seed = int(machine.get("seed", DEFAULT_SEED)) if machine["deterministic"] else None
        plan = self.plan(name, options, seed=seed)
        self._look_at_disk(ours=plan.foreign is None)
        if self._must_prove(name):
            self._policy()  # a mistake in there is told before anything starts
        with self._bed.exclusive(), self._working() as life:
            started = time.monotonic()
            report = ask(life.link)
            if report.of(name).state is GuestState.RUNNING:
                self._check_same(name, options)
                if not self.record.guest(name).get("ready"):  # an `orch up` that was killed did not wait to the end
                    life.await_ready(name)
                return GuestStart("already up", 0.0, self._answer(life.link, name), self.attested(name))
            if report.of(name).state is GuestState.ENDING:
                life.end(name)
                report = ask(life.link)
            files = self._files(name.world)
            known = {other: int(self.record.guest(other).get("memory_mib", 0)) for other in report.guests}
            copied_mib = sum(path.stat().st_size for path in life.missing(files).values()) >> 20
            check_memory(name, plan.config, report, promised_mib(report, known), copied_mib)
            life.install(name, files, needs_driver(name.world))
            life.run(plan)
            try:
                fingerprint = self._answer(life.link, name)
            except AttestationError:  # whatever it is, it is not what was started
                life.end(name)
                raise
            return GuestStart("started", time.monotonic() - started, fingerprint, self.attested(name))

    def _files(self, world: World) -> dict[str, Path]:
        """What the host must have for a guest of this world, by path there."""
        needed = self._bed.project.present(guest.files_for(world))
        files = {file.path: self.source(file) for file in needed}
        disk = self._bed.project.config.guest.disk
        foreign = self._bed.project.vmm_files() if self._foreign(world) is not None else {}
        return files | foreign | ({DISK: self._bed.project.path(disk)} if disk is not None else {})

    def _look_at_disk(self, *, ours: bool) -> None:
        """Say, once, what our VMM adds to a file that ends within a sector; raises UsageError for an empty one."""
        chosen = self._bed.project.config.guest.disk
        if chosen is None:
            return
        file = self._bed.project.path(chosen)
        size = file.stat().st_size
        if size == 0:
            raise UsageError(f"{self._bed.project.testbed_file}: guest.disk: {chosen} is empty")
        added = -size % SECTOR_BYTES
        if added and ours and not self._told_of_disk:
            self._told_of_disk = True
            odd = f"guest.disk: {chosen} has {size} bytes, no multiple of {SECTOR_BYTES}"
            self._bed.progress.notice(f"{odd}: guests see {size + added}, of which the last are zero")

    def _check_same(self, name: GuestName, options: GuestOptions) -> None:
        has = self.record.guest(name)
        for key, wanted in (("memory_mib", options.memory_mib), ("vcpus", options.vcpus)):
            if wanted is not None and wanted != has.get(key, wanted):
                raise UsageError(f"the {name} is up with {key} {has[key]}", hint=f"`orch down {name}` first")

    def _answer(self, gateway: Connection, name: GuestName) -> str | None:
        """State 'ssh': a command in the guest is answered; its key's fingerprint, None if it has no network."""
        if self.record.guest(name).get("host_key") is None:
            self._bed.progress.notice(f"{name}: it has shown no SSH host key, so it can be reached by its console only")
            return None
        if self._must_prove(name) and not self.attested(name):
            self._attest(gateway, name)
        server = self.server(name, gateway)
        timeout = self._bed.project.config.timeouts.ssh
        try:
            with self.record.stage(name, "ssh", 1), self._answering(server, name, timeout) as link:
                ssh.capture(link, "true", timeout)
        except BootError:
            self.need_running(gateway, name)  # a guest that has ended says more than one that is silent
            raise
        return ssh.fingerprint(server.host_key)

    def _attest(self, gateway: Connection, name: GuestName) -> None:
        """State 'attest': from here on the realm's host key is the one that it has proved, not the console's."""
        with self.record.stage(name, "attest", 2):
            try:
                found = attest(self._bed, name, self._policy(), gateway)
            except BootError:
                self.need_running(gateway, name)
                raise
            saved = found.save(self._bed.state / "attestation")
            found.insist()
        self.record.note(name, host_key=found.answer.host_key, attestation=str(saved))

    def _must_prove(self, name: GuestName) -> bool:
        return name.world is World.REALM and self._bed.project.config.attestation.required

    def _policy(self) -> AttestationPolicy:
        chosen = self._bed.project.config.attestation.policy
        return read_policy(None if chosen is None else self._bed.project.path(chosen))

    def attested(self, name: GuestName) -> bool:
        """Whether the guest has proved itself since it was started."""
        return self.record.guest(name).get("attestation") is not None

    def attestation(self, name: GuestName) -> dict[str, Any] | None:
        """What is kept of a guest's proof (`Attested.as_table`); None if it has not proved itself."""
        kept = self.record.guest(name).get("attestation")
        return None if kept is None else dict(json.loads(Path(kept).read_text(encoding="utf-8")))

    def _answering(self, server: ssh.Server, name: GuestName, timeout: float) -> AbstractContextManager[Connection]:
        """A connection for a first command: one that is kept will be used again."""
        return self._bed.link(str(name)) if self._bed.kept is not None else ssh.opened(server, timeout)

    def stop(self, name: GuestName) -> str:
        """Stop one guest; returns a line for people. Its console stays readable."""
        with self._bed.exclusive(), self._working() as life:
            if not ask(life.link).of(name).state.there:
                return "was not up"
            life.end(name)
            left = ask(life.link).driver.get("granules")
        return "stopped" if name.world is World.VM or left is None else f"stopped; delegated granules: {left}"

    def stop_all(self) -> None:
        """Before the host goes down: stop guests and keep their consoles; what goes wrong is a notice, no error."""
        if all(facts.get("stopped") for facts in self.record.load()["guests"].values()):
            return  # there was none, or each was stopped by us, and its console kept
        try:
            with self._working(_ANSWER) as life:
                for name, report in ask(life.link).guests.items():
                    if report.state.there:
                        life.end(name, leaving=True)
                    elif report.state is not GuestState.ABSENT:
                        life.keep_console(name)
        except OrchError as error:
            self._bed.progress.notice(f"guests were not stopped in order: {error.message}")

    def machine_started(self, files: list[GuestFile]) -> None:
        """A new host has no guests, and none of the last one's consoles; `files` are those of its initrd."""
        for old in self.record.folder.glob("*.console.log"):
            old.unlink()
        sources = {file.path: self.source(file) for file in files} | self._bed.project.vmm_files()
        digests = {path: file_digest(source) for path, source in sources.items()}
        self.record.save({"runs": 0, "files": digests, "guests": {}})

    # --- looking --------------------------------------------------------------------------------------------------

    def server(self, name: GuestName, gateway: Connection) -> ssh.Server:
        """A guest's SSH server, reached through the host; raises BootError if it has shown no key.

        The key is a realm's own proof, or what a console said (of a normal VM, which has no proof).
        """
        key = self.record.guest(name).get("host_key")
        if key is None:
            raise BootError(f"the {name} has shown no SSH host key", hint=f"`orch console {name}` reaches it")
        if self._must_prove(name) and not self.attested(name):  # its `orch up` was killed, or it was refused
            raise AttestationError(
                f"the {name} has not proved that its SSH host key is its own", hint="`orch up --realm`"
            )
        return ssh.Server(name.address, 22, self._bed.keys.user, key, gateway, f"SSH of the {name}")

    def status(self) -> dict[str, Any]:
        """What `orch status` shows of guests: by name, and of the driver; asks the host only if one was started."""
        known = {GuestName.parse(text): facts for text, facts in self.record.load()["guests"].items()}
        names = sorted({*FIRST, *(name for name in known if name is not None)})
        if not known or self._bed.running() is None:
            return {str(name): {"state": str(GuestState.ABSENT)} for name in names} | {"driver": {}}
        try:
            with self._bed.host() as link:
                report = ask(link, stats=True)
        except OrchError as error:  # the status of a host that does not answer is shown all the same
            return {str(name): {"state": "unknown", "detail": error.message} for name in names} | {"driver": {}}
        table: dict[str, Any] = {str(name): _facts(report.of(name), known.get(name, {}), name) for name in names}
        return table | {"driver": {name: int(text) if text.isdigit() else text for name, text in report.driver.items()}}

    def need_running(self, link: Connection, name: GuestName) -> None:
        """Raises BootError unless the guest runs."""
        report = ask(link).of(name)
        if report.state is not GuestState.RUNNING:
            option = f"--{name.world}" if name.number == 1 else f"--{name.world} {name.number}"
            raise BootError(f"the {name} is not up: {report.words}", hint=f"`orch up {option}`")

    def refresh_console(self, name: GuestName) -> None:
        """Fetch the console log of a guest from the host, if both are there."""
        if self.record.guest(name) and self._bed.running() is not None:
            with self._working() as life:
                life.keep_console(name)


def _facts(report: GuestReport, known: dict[str, Any], name: GuestName) -> dict[str, Any]:
    running = report.state is GuestState.RUNNING
    return {
        "state": str(report.state),
        "detail": report.detail or None,
        "pid": report.pid,
        "uptime_s": round(time.time() - known["since"], 1) if running and "since" in known else None,
        "memory_mib": known.get("memory_mib"),
        "vcpus": known.get("vcpus"),
        "address": name.address if running else None,
        "host_key": ssh.fingerprint(known["host_key"]) if running and known.get("host_key") else None,
        "attested": known.get("attestation") is not None if running else None,
        "attestation": known.get("attestation") if running else None,
        "run": known.get("run"),
        "vmm_rss_mib": report.rss_kib >> 10 if report.rss_kib else None,
        "stats": report.stats,
    }
