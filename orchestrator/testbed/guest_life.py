# SPDX-License-Identifier: Apache-2.0
"""Start and end guests in a running host, over a connection to it: realm and normal VM by the same steps."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.build.cache import make_folder
from orchestrator.build.graph import file_digest
from orchestrator.errors import BootError, OrchError, UsageError
from orchestrator.shell import ssh
from orchestrator.testbed import guest, probe
from orchestrator.testbed.guest import DRIVER, GuestName, Start, StopCode
from orchestrator.testbed.probe import GuestState, Probe
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fabric import Connection

    from orchestrator.schema.testbed import Guest, Timeouts
    from orchestrator.testbed.guest_record import GuestRecord

_TAIL = 40  # console lines that come with an error
_HEARD = (0.1, 0.4, 1.0, 2.0, 0.0)  # s between looks
_SLACK = 5.0  # s that SSH may add to a wait inside the host
_GRANULES_OF_A_MIB = 256
_SPARE_MIB = 64  # what a host keeps when guests take the rest


def ask(link: Connection, *, stats: bool = False) -> Probe:
    """What the host reports; raises BootError if it does not do so to the end, as one that cannot fork."""
    done = ssh.attempt(link, probe.probe_script(stats=stats))
    report = probe.read_probe(done.stdout)
    if done.code or report is None:
        why = done.words if done.code else "its answer is not complete"
        raise BootError(f"the host does not report on its guests: {why}", hint="`orch logs` of the host")
    return report


def check_memory(name: GuestName, config: Guest, report: Probe, promised_mib: int, copied_mib: int) -> None:
    """Raises UsageError if the host has not got the memory that the guest may come to use.

    `promised_mib` is what running guests have not touched yet, `copied_mib` what still goes to the host's file system.
    """
    available = (report.available_kib >> 10) - promised_mib - copied_mib
    if config.memory_mib + _SPARE_MIB > available:
        promised = f" beside {promised_mib} MiB that running guests may come to use" if promised_mib else ""
        raise UsageError(
            f"{name}: {config.memory_mib} MiB do not fit: the host has {max(0, available)} MiB left{promised}",
            hint="--mem, guest.memory_mib in the testbed file, or stop another guest",
        )


def promised_mib(report: Probe, memory_mib: Mapping[GuestName, int]) -> int:
    """What running guests (`memory_mib`: of those that are known) have not touched yet of their memory.

    The VMM's resident memory has all of a normal VM's; a realm's pages are the driver's.
    """
    running = [name for name, each in report.guests.items() if each.state is GuestState.RUNNING]
    granules = report.driver.get("granules", "")
    touched = int(granules) // _GRANULES_OF_A_MIB if granules.isdigit() else 0
    realms = sum(memory_mib.get(name, 0) for name in running if needs_driver(name.world))
    vms = (
        max(0, memory_mib.get(name, 0) - (report.guests[name].rss_kib or 0) // 1024)
        for name in running
        if not needs_driver(name.world)
    )
    return max(0, realms - touched) + sum(vms)


@dataclass(frozen=True)
class GuestLife:
    """The steps of a guest's life on one connection to its host."""

    link: Connection
    record: GuestRecord
    timeouts: Timeouts

    # --- up -------------------------------------------------------------------------------------------------------

    def install(self, name: GuestName, files: Mapping[str, Path], driver: bool) -> None:
        """Copy what the host does not have in this very version (`files`: by path there); load the driver."""
        for path, source in self.missing(files).items():
            digest, record = file_digest(source), self.record.load()
            # Not in place: a program that runs cannot be written to.
            ssh.capture(self.link, f"mkdir -p {shlex.quote(path.rpartition('/')[0])}")
            ssh.put(self.link, source, f"{path}.new")
            replace = shlex.join(["mv", f"{path}.new", path])
            if path == DRIVER.path:  # an older one that is loaded makes way; one in use stays, and insmod will say so
                replace += "; [ ! -e /dev/realm ] || rmmod realm"
            done = ssh.attempt(self.link, replace)
            if done.code:
                raise BootError(f"{path} cannot be replaced: {done.words}", hint=f"`orch down {name}` first")
            record["files"][path] = digest
            self.record.save(record)
        if driver:
            self._load_driver()

    def missing(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Those of the files that the host does not have in this very version."""
        there = self.record.load()["files"]
        return {path: source for path, source in files.items() if there.get(path) != file_digest(source)}

    def _load_driver(self) -> None:
        """Load the realm driver unless it is; its own last line says why it would not."""
        done = ssh.attempt(self.link, f"test -c /dev/realm || insmod {DRIVER.path}")
        if done.code == 0:
            return
        last = "dmesg | sed -n 's/^\\(\\[[^]]*\\] *\\)\\{0,1\\}realm: //p' | tail -n 1"
        said = ssh.attempt(self.link, last).stdout.strip()
        raise BootError(
            f"realm: the driver was not loaded: {said or done.words}",
            hint="the firmware's RMM must speak RMI 1.0: `orch show config` shows `stack.rmm`",
        )

    def run(self, start: Start) -> None:
        """Start the guest and wait for its ready line; if that fails, nothing of it stays but its console."""
        name, record = start.name, self.record.load()
        record["runs"] = start.run
        record["guests"][str(name)] = {
            **start.config.model_dump(mode="json"),
            "run": start.run,
            "since": time.time(),
            "pretouch": start.pretouch,
        }
        self.record.save(record)
        with self._failing(name):
            with self.record.stage(name, "start", 2):
                limit = self.timeouts.guest_start
                if start.pretouch:
                    limit = max(limit, guest.pages_limit(start.config.memory_mib))
                done = ssh.attempt(self.link, guest.start_script(name, guest.start_command(start)), limit)
                if done.code:
                    raise BootError(f"{name}: it did not start: {done.words}")
            self._await_ready(name)

    def await_ready(self, name: GuestName) -> None:
        """Wait for the ready line of a guest that another `orch up` has started."""
        with self._failing(name):
            self._await_ready(name)

    @contextmanager
    def _failing(self, name: GuestName) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.record.event(name, "failed", detail=str(error))
            self._give_up(name, error)
            raise

    def _await_ready(self, name: GuestName) -> None:
        limit = self.timeouts.guest_ready
        with self.record.stage(name, "guest-ready", 4):
            script = f"{shlex.join(guest.wait_command(name, limit))} && {guest.announced_script(name)}"
            done = ssh.attempt(self.link, script, limit + _SLACK)
            if done.code:
                raise self._not_ready(name, done.code)
        said = guest.read_announced(done.stdout)
        self.record.note(
            name,
            ready=True,
            host_key=said.host_key,
            kernel_seconds=said.kernel_seconds,
            ready_seconds=said.ready_seconds,
        )

    def _not_ready(self, name: GuestName, code: int) -> BootError:
        """The wait's outcome in words; exit codes are those of the VMM's `wait`."""
        limit = self.timeouts.guest_ready
        report = ask(self.link).of(name)
        if report.state is GuestState.ENDING:  # what it ended with is known when it is gone
            self.end(name)
            report = ask(self.link).of(name)
        if report.state is GuestState.RUNNING:
            words = f"not reached within {limit:g} s" if code == 4 else f"the wait failed with exit code {code}"
            return BootError(
                f"{name}: state 'guest-ready': {words}",
                hint="a longer limit is `timeouts.guest_ready` in testbed.yaml",
            )
        return BootError(
            f"{name}: it ended before state 'guest-ready': {report.words}",
            hint="`guest.cmdline_extra: loglevel=8` in testbed.yaml lets its kernel say more",
        )

    def _give_up(self, name: GuestName, error: BaseException) -> None:
        """After a failed start: the console's last lines go with the error, and nothing keeps running."""
        try:
            self.keep_console(name)
            if isinstance(error, BootError):
                error.console = self.record.console_lines(name)[-_TAIL:]
            if ask(self.link).of(name).state.there:
                self.end(name)
        except OrchError as second:  # the host itself is gone: the first error says more
            self.record.progress.notice(f"{name}: {second.message}")

    # --- down -----------------------------------------------------------------------------------------------------

    def end(self, name: GuestName, *, leaving: bool = False) -> None:
        """SIGTERM lets the VMM take the guest apart; SIGKILL after the time-out, and the driver does it.

        `leaving`: the host goes down as well, and is not to wait for longer than the guest's memory needs.
        """
        limit = self._end_limit(name, leaving=leaving)
        with self.record.stage(name, "stop", 1):
            for kill in (False, True):
                done = ssh.attempt(self.link, shlex.join(guest.stop_command(name, limit, kill=kill)), limit + _SLACK)
                if done.code != StopCode.TIMED_OUT:
                    self._must_be_gone(name, done)
                    self.keep_console(name)
                    self.record.note(name, stopped=True)
                    return
                sent = "KILL" if kill else "TERM"
                self.record.progress.notice(f"{name}: still there {limit:g} s after SIG{sent}")
        raise BootError(f"{name}: state 'stopped' not reached within {2 * limit:g} s", hint="`orch logs` of the host")

    def _end_limit(self, name: GuestName, *, leaving: bool) -> float:
        """Time-out (s) of a guest's end: what its memory needs; where the host stays, `guest_down` if that is more."""
        needed = guest.pages_limit(int(self.record.guest(name).get("memory_mib", 256)))
        return needed if leaving else max(needed, self.timeouts.guest_down)

    def _must_be_gone(self, name: GuestName, done: ssh.Finished) -> None:
        """Raises BootError if the VMM's `stop` failed; one that found no guest is right when it ended just before."""
        if done.code == StopCode.GONE:
            return
        if done.code == StopCode.NO_GUEST and self._goes(name):
            return
        raise BootError(f"{name}: it was not stopped: {done.words}")

    def _goes(self, name: GuestName) -> bool:
        """Whether nothing is left of a guest soon: a process that has ended is seen until init has heard of it."""
        for pause in _HEARD:
            if not ask(self.link).of(name).state.there:
                return True
            time.sleep(pause)
        return False

    def keep_console(self, name: GuestName) -> None:
        """The host's memory goes with the host: what a guest said is kept on the build computer."""
        make_folder(self.record.folder)
        if ssh.attempt(self.link, f"test -e {name.folder}/console.log").code == 0:
            ssh.get(self.link, f"{name.folder}/console.log", self.record.console_log(name))


def needs_driver(world: World) -> bool:
    """Whether guests of this world go through our driver."""
    return world is World.REALM
