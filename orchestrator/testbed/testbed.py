# SPDX-License-Identifier: Apache-2.0
"""Bring one machine up and down: build what it needs, restore or boot it, make sure that it answers."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from orchestrator.build.builder import Builder
from orchestrator.build.cache import key_of, make_folder
from orchestrator.build.graph import file_digest
from orchestrator.build.inputs import InputStore
from orchestrator.errors import BootError, EnvError, OrchError, UsageError
from orchestrator.files import replace_file
from orchestrator.machine.cmdline import cpu_argument, stable_command_line
from orchestrator.machine.instance import Instance
from orchestrator.machine.paths import UARTS
from orchestrator.machine.ports import choose_port
from orchestrator.machine.spec import DEFAULT_SEED, Counter, Initrd, MachineSpec
from orchestrator.machine.states import State
from orchestrator.shell import ssh
from orchestrator.shell.keys import SshKeys, public_line
from orchestrator.testbed.guest import SEEDED, GuestName
from orchestrator.testbed.guests import Guests
from orchestrator.testbed.overlay import OverlayFile, write_overlay
from orchestrator.testbed.snapshots import Snapshots
from orchestrator.testbed.worlds import AnyWorld, GuestWorld, HostWorld
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric import Connection

    from orchestrator.build.progress import Progress
    from orchestrator.testbed.project import Project

# FEAT_MOPS counts a whole memcpy as one instruction; hidden in every world so that counts compare.
KERNEL_ARGS = ("quiet", "arm64.nomops")
# The host image then runs a task that keeps the CPU from waiting: see docs/machine.md, "Deterministic machines".
DETERMINISTIC_KERNEL_ARGS = ("orch.deterministic",)


@dataclass(frozen=True)
class UpOptions:
    """How to bring the machine up; `seed` is that of a deterministic one and its guests, others ignore it."""

    fresh: bool = False
    deterministic: bool = False
    count: bool = False
    count_mode: str = "fast"
    seed: int = DEFAULT_SEED


@dataclass(frozen=True)
class UpResult:
    """How the machine came up: 'cold', 'restored' or 'already up'; seconds to an answered SSH command."""

    how: str
    seconds: float
    ssh_port: int


class Testbed:
    """The machine of one testbed file."""

    def __init__(self, project: Project, progress: Progress, *, frozen: bool = False) -> None:
        """Raises UsageError for a platform of which orch only knows the command line."""
        if project.config.machine.platform != "qemu":
            raise UsageError(
                f"{project.testbed_file}: machine.platform: {project.config.machine.platform}: its command line is all "
                "that orch makes; it neither builds for it nor runs it",
                hint="`orch show cmdline` prints it; docs/machine.md says what is missing",
            )
        self.project = project
        self.progress = progress
        self.state = project.state_folder()
        self.cache = project.cache()
        self.graph = project.graph()
        self.inputs = InputStore(project.root, self.cache.root, frozen=frozen, notify=progress.notice)
        self.builder = Builder(self.graph, self.cache, self.inputs, progress)
        self.keys = SshKeys(self.state / "keys")
        self.instance = Instance(self.state / "run")
        self.snapshots = Snapshots(self.state / "snapshots")
        self.guests = Guests(self)

    # --- building -------------------------------------------------------------------------------------------------

    def build(self) -> dict[str, Path]:
        """Build what the machine needs; returns artifact folders by node name."""
        nodes = self.project.machine_nodes(self.graph)
        self.builder.build(list(nodes.values()))
        return {name: self.builder.artifact(node) for name, node in nodes.items()}

    def artifacts(self) -> dict[str, Path]:
        """Where the artifacts are or would be, without building."""
        nodes = self.project.machine_nodes(self.graph)
        return {name: self.builder.artifact(node) for name, node in nodes.items()}

    # --- the machine as data --------------------------------------------------------------------------------------

    def spec(self, artifacts: dict[str, Path], options: UpOptions, port: int) -> MachineSpec:
        """The machine for these artifacts and options; writes the overlay initrd."""
        machine, stack = self.project.config.machine, self.project.config.stack
        if options.deterministic and options.count and machine.deterministic.cpus > 1:
            raise UsageError(
                f"{self.project.testbed_file}: machine.deterministic.cpus: only 1 CPU can be counted deterministically",
                hint="leave out --count, or set it to 1; docs/counting.md says why",
            )
        overlay = self._overlay(artifacts)
        base = artifacts["host-image"] / "base.cpio"
        qemu = self.project.path(stack.qemu) if stack.qemu else artifacts["qemu"] / "bin/qemu-system-aarch64"
        kernel = self.project.path(stack.host_kernel) if stack.host_kernel else artifacts["kernel"] / "Image"
        plugin = artifacts["qemu-plugin"] / "libcounter.so"
        return MachineSpec(
            qemu=(str(qemu),),
            run_folder=str(self.instance.paths.folder),
            sockets=str(self.instance.sockets),
            flash=str(artifacts["firmware"] / "flash.bin"),
            kernel=str(kernel),
            initrds=tuple(Initrd(str(path), path.stat().st_size if path.exists() else 0) for path in (base, overlay)),
            cpu=cpu_argument(machine.cpu),
            cpus=machine.deterministic.cpus if options.deterministic else machine.cpus,
            machine=machine.type,
            ssh_port=port,
            kernel_args=KERNEL_ARGS + (DETERMINISTIC_KERNEL_ARGS if options.deterministic else ()),
            icount_shift=machine.deterministic.icount_shift if options.deterministic else None,
            seed=options.seed,
            counter=Counter(str(plugin), options.count_mode) if options.count else None,
        )

    def _overlay(self, artifacts: dict[str, Path]) -> Path:
        """The per-testbed initrd, written anew; equal content gives equal bytes."""
        path = self.state / "overlay.cpio"
        write_overlay(self.overlay_files(artifacts), path)
        return path

    def overlay_files(self, artifacts: dict[str, Path]) -> list[OverlayFile]:
        """What this testbed adds to the host's root, or puts in place of what is there: SSH keys, modules, guests."""
        self.keys.ensure()
        modules = [artifacts[name] / f"{name}.ko" for name in ("rearm",) if name in artifacts]
        guests = [(file.path, self.guests.source(file)) for file in SEEDED]
        return [
            *(OverlayFile(target, path.read_bytes()) for target, path in guests if path.exists()),
            *(
                OverlayFile(target, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
                for target, path in self.project.vmm_files().items()
            ),
            *(OverlayFile(f"/usr/lib/{path.name}", path.read_bytes()) for path in modules if path.exists()),
            OverlayFile("/etc/dropbear/dropbear_ed25519_host_key", self.keys.dropbear_host_key(), 0o600),
            OverlayFile("/root/.ssh/authorized_keys", self.keys.authorized_keys().encode(), 0o600),
        ]

    def snapshot_key(self, spec: MachineSpec) -> str:
        """Names the saved state of a machine: its artifacts, command line and overlay; not port, folders or plugin."""
        plain = dataclasses.replace(spec, counter=None)
        ready_made = [path for path in (spec.qemu[0], spec.kernel) if not path.startswith(str(self.cache.root))]
        files = [spec.initrds[-1].path, *ready_made]
        return key_of({"arguments": stable_command_line(plain), "files": [file_digest(Path(path)) for path in files]})

    # --- up and down ----------------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The right to change this testbed; a second orch is refused with the pid of the first."""
        make_folder(self.state)
        holder = self.state / "lock.pid"
        lock = FileLock(self.state / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = holder.read_text(encoding="utf-8").strip() if holder.exists() else "unknown"
            raise EnvError(
                f"another orch (pid {pid}) is working on testbed '{self.project.config.name}'",
                hint="wait for it to end, or use another testbed file (--testbed)",
            ) from None
        try:
            holder.write_text(str(os.getpid()), encoding="utf-8")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def up(self, options: UpOptions) -> UpResult:
        """Bring the machine up unless it is; returns once a command over SSH was answered."""
        with self.exclusive():
            running = self.running()
            if running is not None and self.instance.status().state is State.HOST_READY:
                return self._already_up(running, options)
            self.instance.stop(self.project.config.timeouts.down)  # what an interrupted `up` or a crash left
            for warning in self.project.untested():
                self.progress.notice(f"untested: {warning}")
            artifacts = self.build()
            return self._start(artifacts, options)

    def _start(self, artifacts: dict[str, Path], options: UpOptions) -> UpResult:
        started = time.monotonic()
        spec = self.spec(artifacts, options, choose_port(self.project.config.ssh.port))
        snapshots = self.snapshots
        key = self.snapshot_key(spec)
        # A restored host needs our module to get its timers back (guest/rearm); a deterministic one takes nothing.
        restorable = "rearm" in artifacts and not options.deterministic
        saved = snapshots.find(key) if restorable and not options.fresh else None
        record = {"ssh_port": spec.ssh_port, "options": dataclasses.asdict(options), "snapshot": key}
        replace_file(self.state / "up.json", json.dumps(record, indent=1) + "\n")
        self.guests.machine_started([file for file in SEEDED if self.guests.source(file).exists()])
        try:
            how = self._restore(spec, saved) if saved else "cold"
            if how == "cold":
                self._boot(spec)
            self._answer(spec.ssh_port)
            seconds = time.monotonic() - started
            if how == "cold" and restorable and not snapshots.find(key):
                self._save(key)
        except BaseException:
            self.instance.stop(self.project.config.timeouts.down)
            raise
        return UpResult(how, seconds, spec.ssh_port)

    def _save(self, key: str) -> None:
        """Save the machine for the next `up`; one that cannot be saved (a full disk) is none the worse for it."""
        try:
            with self.progress.stage("save snapshot"):
                self.snapshots.save(key, self.instance, self.project.config.timeouts.snapshot)
        except OrchError as error:
            self.progress.notice(f"no snapshot was saved: {error.message}")

    def _boot(self, spec: MachineSpec) -> None:
        """Start cold and wait through the named states."""
        timeouts = self.project.config.timeouts
        steps = (
            (State.FIRMWARE, timeouts.firmware),
            (State.KERNEL, timeouts.kernel),
            (State.HOST_READY, timeouts.host_ready),
        )
        with self.progress.stage("boot", estimate=3, last_line=self._last_line):
            self.instance.start(spec)
            for state, timeout in steps:
                self.instance.wait(state, timeout)

    def _restore(self, spec: MachineSpec, saved: Path) -> str:
        """Continue from a saved state; one that cannot be used is dropped and the machine boots cold."""
        timeouts = self.project.config.timeouts
        try:
            with self.progress.stage("restore snapshot", estimate=1, last_line=self._last_line):
                self.instance.start(dataclasses.replace(spec, incoming=str(saved)))
                self.instance.wait(State.HOST_READY, timeouts.restore)
                # Otherwise the guest would repeat its random numbers and its time, and its CPUs' timers stood still.
                self.instance.resume_guest_now(timeouts.restore)
        except BootError as error:
            self.progress.notice(f"snapshot unusable, booting cold: {error.message}")
            self.instance.stop(timeouts.down)
            self.snapshots.drop(saved)
            return "cold"
        return "restored"

    def save(self, path: Path) -> None:
        """Save the running machine, whatever it does, to `path`; raises BootError if that fails."""
        self.need_running()
        with self.exclusive(), self.progress.stage("save machine", estimate=2):
            self.instance.save_state(path, self.project.config.timeouts.snapshot)

    def replay(self, saved: Path, options: UpOptions) -> None:
        """Continue from a saved state and tell the machine nothing: neither the time nor new randomness.

        In a deterministic machine everything that follows is the same each time. Its EL2 timers stand still until
        something in it re-arms them (guest/rearm). Raises BootError.
        """
        with self.exclusive(), self.progress.stage("replay", estimate=2, last_line=self._last_line):
            timeouts = self.project.config.timeouts
            self.instance.stop(timeouts.down)
            spec = self.spec(self.artifacts(), options, choose_port(self.project.config.ssh.port))
            record = {"ssh_port": spec.ssh_port, "options": dataclasses.asdict(options), "snapshot": None}
            replace_file(self.state / "up.json", json.dumps(record, indent=1) + "\n")
            self.instance.start(dataclasses.replace(spec, incoming=str(saved)))
            self.instance.wait(State.HOST_READY, timeouts.restore)

    def _answer(self, port: int) -> None:
        """State 'ssh': a command over SSH is answered; a machine that dies meanwhile is reported as that."""
        timeout = self.project.config.timeouts.ssh
        with self.progress.stage("ssh", estimate=1, last_line=self._last_line):
            try:
                with ssh.opened(self._server(port), timeout) as link:
                    ssh.capture(link, "true", timeout)
            except BootError as error:
                self.instance.wait(State.HOST_READY, 0.1)  # says so if the machine itself is gone
                error.console = self.instance.console_tail()
                raise

    def _already_up(self, running: dict[str, Any], options: UpOptions) -> UpResult:
        """A running machine will do unless something was asked for that it does not have."""
        wanted, has = dataclasses.asdict(options), running["options"]
        missing = [name for name in ("deterministic", "count") if wanted[name] and not has[name]]
        if options.deterministic and options.seed != has.get("seed", DEFAULT_SEED):
            missing.append("seed")
        if options.fresh or missing or (options.count and wanted["count_mode"] != has["count_mode"]):
            raise UsageError(f"testbed '{self.project.config.name}' is up with other options", hint="`orch down` first")
        return UpResult("already up", 0.0, int(running["ssh_port"]))

    def _last_line(self) -> str:
        now = self.instance.status()
        return f"{now.state}: {now.last_line}"

    def down(self) -> bool:
        """Stop the machine and remove what it left; returns whether there was one."""
        with self.exclusive():
            was_up = self.running() is not None
            if was_up:
                self.guests.stop_all()
            self.instance.stop(self.project.config.timeouts.down)
            self.instance.cleanup_stale()
            (self.state / "up.json").unlink(missing_ok=True)
            return was_up

    def running(self) -> dict[str, Any] | None:
        """The record of the running machine, or None."""
        if not self.instance.status().alive:
            return None
        try:
            record: dict[str, Any] = json.loads((self.state / "up.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return record

    def need_running(self) -> dict[str, Any]:
        """The record of the running machine; raises BootError if there is none."""
        record = self.running()
        if record is None:
            raise BootError(f"testbed '{self.project.config.name}' is not up", hint="`orch up`")
        return record

    # --- access ---------------------------------------------------------------------------------------------------

    @contextmanager
    def host(self, timeout: float | None = None) -> Iterator[Connection]:
        """An open SSH connection to the emulated host."""
        port = int(self.need_running()["ssh_port"])
        with ssh.opened(self._server(port), timeout or self.project.config.timeouts.ssh) as link:
            yield link

    def _server(self, port: int) -> ssh.Server:
        return ssh.Server("127.0.0.1", port, self.keys.user, public_line(self.keys.host))

    def world(self, name: str) -> AnyWorld:
        """The world of that name (host, vm, realm, realm2, …), up or not; raises UsageError for any other name."""
        if name == "host":
            return HostWorld(self)
        guest = GuestName.parse(name)
        if guest is None:
            raise UsageError(f"'{name}': expected host, {', '.join(World)} or one of these with a number")
        return GuestWorld(self, guest)

    def status(self) -> dict[str, Any]:
        """What `orch status` shows: JSON-able, the same keys whether the machine is up or not."""
        now = self.instance.status()
        record = self.running() or {}
        options = record.get("options", {})
        return {
            "testbed": self.project.config.name,
            "file": str(self.project.testbed_file),
            "state": str(now.state),
            "up": now.alive,
            "reason": str(now.reason) if now.reason else None,
            "detail": now.detail or None,
            "since": now.since or None,
            "ssh_port": record.get("ssh_port"),
            "deterministic": options.get("deterministic"),
            "count": options.get("count"),
            "qemu_pid": now.qemu.pid if now.qemu and now.alive else None,
            "rss_mib": (now.qemu_rss + now.supervisor_rss) >> 20 if now.alive else None,
            "logs": str(self.instance.paths.console),
            "last_line": now.last_line or None,
            "untested": self.project.untested(),
            "guests": self.guests.status(),
        }

    def console_logs(self) -> dict[str, Path]:
        """The time-stamped log of each UART that has one."""
        paths = {uart: self.instance.paths.console_log(uart) for uart in UARTS}
        return {uart: path for uart, path in paths.items() if path.exists()}

    def counter_socket(self) -> Path:
        """Where the instruction counter of the running machine listens; raises UsageError if it has none."""
        record = self.need_running()
        if not record["options"]["count"]:
            raise UsageError("this machine runs without the counter", hint="`orch down`, then `orch up --count`")
        return self.instance.counter_socket
