# SPDX-License-Identifier: Apache-2.0
"""Start, watch and stop guests in a running host: realm and normal VM by the same steps."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.build.cache import make_folder, write_atomic
from orchestrator.build.graph import file_digest
from orchestrator.errors import BootError, OrchError, UsageError
from orchestrator.machine.cmdline import FIXED_SEED
from orchestrator.machine.stamping import printable, stamp
from orchestrator.schema.testbed import Guest
from orchestrator.shell import ssh
from orchestrator.testbed import guest
from orchestrator.testbed.guest import DRIVER, GuestFile, GuestReport, GuestState, Probe, StopCode, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fabric import Connection

    from orchestrator.build.graph import Node
    from orchestrator.testbed.testbed import Testbed

_TAIL = 40  # console lines that come with an error
_ANSWER = 10.0  # s for the host to answer when it goes down anyway
_SLACK = 5.0  # s that SSH may add to a wait inside the host
_SPARE_MIB = 64  # what a host keeps when guests take the rest


@dataclass(frozen=True)
class GuestOptions:
    """What the command line asks for; None leaves it to the testbed file."""

    memory_mib: int | None = None
    vcpus: int | None = None
    pretouch: bool = False


@dataclass(frozen=True)
class GuestStart:
    """How a guest came up: 'started' or 'already up'; seconds to its ready line."""

    how: str
    seconds: float


class Guests:
    """The guests of one testbed; everything about them that outlives a command is in its state folder."""

    def __init__(self, testbed: Testbed) -> None:
        self._bed = testbed
        self._folder = testbed.state / "guests"

    # --- what is asked for ----------------------------------------------------------------------------------------

    def config(self, options: GuestOptions) -> Guest:
        """The testbed file's guest with the command line's changes; raises UsageError for what does not fit."""
        asked = {"memory_mib": options.memory_mib, "vcpus": options.vcpus}
        changes = {key: value for key, value in asked.items() if value is not None}
        try:
            return Guest.model_validate(self._bed.project.config.guest.model_dump() | changes)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(f"guest: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None

    def command(self, world: World, options: GuestOptions, *, deterministic: bool) -> list[str]:
        """The VMM's command line for the next start; in a deterministic machine a guest's entropy is fixed as well."""
        run = int(self._record()["runs"]) + 1
        seed = int(FIXED_SEED) if deterministic else None
        return guest.vmm_command(world, self.config(options), run, pretouch=options.pretouch, seed=seed)

    def possible(self) -> list[World]:
        """The worlds that this testbed can have a guest in: the driver fits our own host kernel only."""
        return [world for world in World if world is World.VM or self._bed.project.config.stack.host_kernel is None]

    def build(self, worlds: list[World]) -> None:
        """Make what these guests need; raises UsageError where a ready-made part rules them out."""
        if not set(worlds) <= set(self.possible()):
            raise UsageError("realm: the driver fits our own host kernel only, and stack.host_kernel replaces it")
        self._bed.builder.build(self.nodes(worlds))

    def nodes(self, worlds: list[World]) -> list[Node]:
        """What has to be built for guests of these worlds."""
        files = [file for world in worlds for file in guest.files_for(world)]
        return list(self._bed.project.guest_nodes(self._bed.graph, files).values())

    # --- up and down ----------------------------------------------------------------------------------------------

    def start(self, world: World, options: GuestOptions) -> GuestStart:
        """Start a guest in the running host and wait for its ready line; one that runs already is left alone."""
        config = self.config(options)
        with self._bed.exclusive(), self._bed.host() as link:
            probe = self._probe(link)
            if probe.guests[world].state is GuestState.RUNNING:
                return self._already_up(link, world, options)
            if probe.guests[world].state is GuestState.ENDING:
                self._end(link, world)
                probe = self._probe(link)
            _check_memory(world, config, probe)
            started = time.monotonic()
            self._install(link, world)
            if world is World.REALM:
                _load_driver(link)
            self._run(link, world, config, options)
            return GuestStart("started", time.monotonic() - started)

    def _already_up(self, link: Connection, world: World, options: GuestOptions) -> GuestStart:
        has = self._record()["worlds"].get(world, {})
        for key, wanted in (("memory_mib", options.memory_mib), ("vcpus", options.vcpus)):
            if wanted is not None and wanted != has.get(key, wanted):
                raise UsageError(f"the {world} is up with {key} {has[key]}", hint=f"`orch down {world}` first")
        if not has.get("ready"):  # an `orch up` that was killed did not wait to the end
            with self._failing(link, world):
                self._await_ready(link, world)
        return GuestStart("already up", 0.0)

    def _install(self, link: Connection, world: World) -> None:
        """Copy what the host does not have in this very version."""
        for file in guest.files_for(world):
            source = self._artifact(file)
            digest = file_digest(source)
            record = self._record()
            if record["files"].get(file.path) == digest:
                continue
            # Not in place: a program that runs cannot be written to.
            ssh.capture(link, f"mkdir -p {file.path.rpartition('/')[0]}")
            ssh.put(link, source, f"{file.path}.new")
            replace = f"mv {file.path}.new {file.path}"
            if file is DRIVER:  # an older one that is loaded makes way; one in use stays, and insmod will say so
                replace += "; [ ! -e /dev/realm ] || rmmod realm"
            done = ssh.attempt(link, replace)
            if done.code:
                raise BootError(f"{file.path} cannot be replaced: {done.words}", hint=f"`orch down {world}` first")
            record["files"][file.path] = digest
            self._write(record)

    def _run(self, link: Connection, world: World, config: Guest, options: GuestOptions) -> None:
        command = self.command(world, options, deterministic=bool(self._bed.need_running()["options"]["deterministic"]))
        record = self._record()
        record["runs"] = run = int(record["runs"]) + 1
        record["worlds"][world] = {
            **config.model_dump(),
            "run": run,
            "since": time.time(),
            "pretouch": options.pretouch,
        }
        self._write(record)
        with self._failing(link, world):
            with self._stage(world, "start", 2):
                limit = self._bed.project.config.timeouts.guest_start
                if options.pretouch:
                    limit = max(limit, guest.pages_limit(config.memory_mib))
                done = ssh.attempt(link, guest.start_script(world, command), limit)
                if done.code:
                    raise BootError(f"{world}: it did not start: {done.words}")
            self._await_ready(link, world)

    @contextmanager
    def _failing(self, link: Connection, world: World) -> Iterator[None]:
        """A part of a start: if it fails, nothing of the guest stays but its console."""
        try:
            yield
        except BaseException as error:
            self._event(world, "failed", detail=str(error))
            self._give_up(link, world, error)
            raise

    def _await_ready(self, link: Connection, world: World) -> None:
        limit = self._bed.project.config.timeouts.guest_ready
        with self._stage(world, "guest-ready", 4):
            done = ssh.attempt(link, shlex.join(guest.wait_command(world, limit)), limit + _SLACK)
            if done.code:
                raise self._not_ready(link, world, done.code)
        record = self._record()
        record["worlds"].setdefault(world, {})["ready"] = True
        self._write(record)

    def _not_ready(self, link: Connection, world: World, code: int) -> BootError:
        """The wait's outcome in words; exit codes are those of the VMM's `wait`."""
        limit = self._bed.project.config.timeouts.guest_ready
        report = self._probe(link).guests[world]
        if report.state is GuestState.RUNNING:
            words = f"not reached within {limit:g} s" if code == 4 else f"the wait failed with exit code {code}"
            return BootError(
                f"{world}: state 'guest-ready': {words}",
                hint="a longer limit is `timeouts.guest_ready` in testbed.yaml",
            )
        return BootError(
            f"{world}: it ended before state 'guest-ready': {in_words(report)}",
            hint="`guest.cmdline_extra: loglevel=8` in testbed.yaml lets its kernel say more",
        )

    def _give_up(self, link: Connection, world: World, error: BaseException) -> None:
        """After a failed start: the console's last lines go with the error, and nothing keeps running."""
        try:
            self._keep_console(link, world)
            if isinstance(error, BootError):
                error.console = self.console_lines(world)[-_TAIL:]
            if self._probe(link).guests[world].state.there:
                self._end(link, world)
        except OrchError as second:  # the host itself is gone: the first error says more
            self._bed.progress.notice(f"{world}: {second.message}")

    def stop(self, world: World) -> str:
        """Stop one guest; returns a line for people. Its console stays readable."""
        with self._bed.exclusive(), self._bed.host() as link:
            if not self._probe(link).guests[world].state.there:
                return "was not up"
            self._end(link, world)
            left = self._probe(link).driver.get("granules")
        return "stopped" if world is World.VM or left is None else f"stopped; delegated granules: {left}"

    def stop_all(self) -> None:
        """Before the host goes down: stop guests and keep their consoles; what goes wrong is a notice, no error."""
        if not self._record()["worlds"]:
            return
        try:
            with self._bed.host(_ANSWER) as link:
                probe = self._probe(link)
                for world, report in probe.guests.items():
                    if report.state.there:
                        self._end(link, world, leaving=True)
                    elif report.state is not GuestState.ABSENT:
                        self._keep_console(link, world)
        except OrchError as error:
            self._bed.progress.notice(f"guests were not stopped in order: {error.message}")

    def _end(self, link: Connection, world: World, *, leaving: bool = False) -> None:
        """SIGTERM lets the VMM take the guest apart; SIGKILL after the time-out, and the driver does it."""
        limit = self._end_limit(world, leaving=leaving)
        with self._stage(world, "stop", 1):
            for kill in (False, True):
                done = ssh.attempt(link, shlex.join(guest.stop_command(world, limit, kill=kill)), limit + _SLACK)
                if done.code != StopCode.TIMED_OUT:
                    self._must_be_gone(link, world, done)
                    self._keep_console(link, world)
                    return
                self._bed.progress.notice(f"{world}: still there {limit:g} s after SIG{'KILL' if kill else 'TERM'}")
        raise BootError(f"{world}: state 'stopped' not reached within {2 * limit:g} s", hint="`orch logs` of the host")

    def _end_limit(self, world: World, *, leaving: bool) -> float:
        """Time-out (s) of a guest's end: what its memory needs; where the host stays, `guest_down` if that is more."""
        known = self._record()["worlds"].get(world, {})
        needed = guest.pages_limit(int(known.get("memory_mib", self._bed.project.config.guest.memory_mib)))
        return needed if leaving else max(needed, self._bed.project.config.timeouts.guest_down)

    def _must_be_gone(self, link: Connection, world: World, done: ssh.Finished) -> None:
        """Raises BootError if the VMM's `stop` failed; one that found no guest is right when it ended just before."""
        if done.code == StopCode.GONE:
            return
        if done.code == StopCode.NO_GUEST and not self._probe(link).guests[world].state.there:
            return
        raise BootError(f"{world}: it was not stopped: {done.words}")

    # --- looking --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What `orch status` shows of guests: by world, and of the driver; asks the host only if one was started."""
        worlds = self._record()["worlds"]
        nothing: dict[str, Any] = {str(world): {"state": str(GuestState.ABSENT)} for world in World} | {"driver": {}}
        if not worlds or self._bed.running() is None:
            return nothing
        try:
            with self._bed.host() as link:
                probe = self._probe(link, stats=True)
        except OrchError as error:  # the status of a host that does not answer is shown all the same
            return {str(world): {"state": "unknown", "detail": error.message} for world in World} | {"driver": {}}
        table: dict[str, Any] = {}
        for world, report in probe.guests.items():
            known = worlds.get(world, {})
            running = report.state is GuestState.RUNNING
            table[world] = {
                "state": str(report.state),
                "detail": report.detail or None,
                "pid": report.pid,
                "uptime_s": round(time.time() - known["since"], 1) if running and "since" in known else None,
                "memory_mib": known.get("memory_mib"),
                "vcpus": known.get("vcpus"),
                "run": known.get("run"),
                "vmm_rss_mib": report.rss_kib >> 10 if report.rss_kib else None,
                "stats": report.stats,
            }
        return table | {"driver": {name: int(text) if text.isdigit() else text for name, text in probe.driver.items()}}

    def need_running(self, link: Connection, world: World) -> None:
        """Raises BootError unless the guest runs."""
        report = self._probe(link).guests[world]
        if report.state is not GuestState.RUNNING:
            raise BootError(f"the {world} is not up: {in_words(report)}", hint=f"`orch up --{world}`")

    def refresh_console(self, world: World) -> None:
        """Fetch the console log of a guest from the host, if both are there."""
        if self._record()["worlds"].get(world) and self._bed.running() is not None:
            with self._bed.host() as link:
                self._keep_console(link, world)

    def console_lines(self, world: World) -> list[str]:
        """What the guest's console showed, as far as it was fetched, without terminal sequences."""
        path = self._console_log(world)
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        return [printable(line) for line in text.splitlines()]

    # --- small parts ----------------------------------------------------------------------------------------------

    def machine_started(self, files: list[GuestFile]) -> None:
        """A new host has no guests; `files` are those it has got with its initrd."""
        digests = {file.path: file_digest(self._artifact(file)) for file in files}
        self._write({"runs": 0, "files": digests, "worlds": {}})

    def _artifact(self, file: GuestFile) -> Path:
        node = self._bed.project.guest_nodes(self._bed.graph, [file])[file.node]
        return self._bed.builder.artifact(node) / file.name

    def _probe(self, link: Connection, *, stats: bool = False) -> Probe:
        """What the host reports; raises BootError if it does not do so to the end, as one that cannot fork."""
        done = ssh.attempt(link, guest.probe_script(stats=stats))
        probe = guest.read_probe(done.stdout)
        if done.code or probe is None:
            why = done.words if done.code else "its answer is not complete"
            raise BootError(f"the host does not report on its guests: {why}", hint="`orch logs` of the host")
        return probe

    def _console_log(self, world: World) -> Path:
        return self._folder / f"{world}.console.log"

    def _keep_console(self, link: Connection, world: World) -> None:
        """The host's memory goes with the host: what a guest said is kept here."""
        make_folder(self._folder)
        if ssh.attempt(link, f"test -e {world.folder}/console.log").code == 0:
            ssh.get(link, f"{world.folder}/console.log", self._console_log(world))

    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self._folder / "record.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {"runs": 0, "files": {}, "worlds": {}}
        return record

    def _write(self, record: dict[str, Any]) -> None:
        make_folder(self._folder)
        write_atomic(self._folder / "record.json", json.dumps(record, indent=1) + "\n")

    @contextmanager
    def _stage(self, world: World, name: str, estimate: float) -> Iterator[None]:
        """A step of a guest's life: shown to the user, and an event with its duration."""
        started = time.monotonic()
        with self._bed.progress.stage(f"{world} {name}", estimate=estimate):
            yield
        self._event(world, name, seconds=round(time.monotonic() - started, 3))

    def _event(self, world: World, name: str, **facts: Any) -> None:
        make_folder(self._folder)
        line = json.dumps({"time": stamp(time.time()), "world": str(world), "event": name, **facts})
        with (self._folder / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def in_words(report: GuestReport) -> str:
    """A guest's state with its detail, as in 'error: no memory'."""
    return f"{report.state}: {report.detail}" if report.detail else str(report.state)


def _check_memory(world: World, config: Guest, probe: Probe) -> None:
    available = probe.available_kib >> 10
    if config.memory_mib + _SPARE_MIB > available:
        raise UsageError(
            f"{world}: {config.memory_mib} MiB do not fit: the host has {available} MiB left",
            hint="--mem, guest.memory_mib in the testbed file, or stop the other guest",
        )


def _load_driver(link: Connection) -> None:
    """Load the realm driver unless it is; its own last line says why it would not."""
    done = ssh.attempt(link, f"test -c /dev/realm || insmod {DRIVER.path}")
    if done.code == 0:
        return
    said = ssh.attempt(link, "dmesg | sed -n 's/^\\(\\[[^]]*\\] *\\)\\{0,1\\}realm: //p' | tail -n 1").stdout.strip()
    raise BootError(
        f"realm: the driver was not loaded: {said or done.words}",
        hint="the firmware's RMM must speak RMI 1.0: `orch show config` shows `stack.rmm`",
    )
