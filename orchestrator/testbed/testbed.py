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
from orchestrator.build.packages import PackageStore
from orchestrator.errors import BootError, EnvError, UsageError
from orchestrator.machine.platform import DEFAULT_SEED, Blueprint, Capability, Machine, Parts, need
from orchestrator.machine.ports import choose_port
from orchestrator.machine.states import State
from orchestrator.shell import ssh
from orchestrator.shell.keys import SshKeys, public_line
from orchestrator.testbed.guest import DRIVER, SEEDED, VMM, GuestFile, GuestName
from orchestrator.testbed.guests import Guests
from orchestrator.testbed.overlay import OverlayFile, write_overlay
from orchestrator.testbed.power import PowerOn
from orchestrator.testbed.snapshots import Snapshots
from orchestrator.testbed.worlds import AnyWorld, GuestWorld, HostWorld
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from fabric import Connection

    from orchestrator.build.graph import Node
    from orchestrator.build.progress import Progress
    from orchestrator.testbed.links import Links
    from orchestrator.testbed.project import Project
    from orchestrator.trace.counter import Counter

# FEAT_MOPS counts a whole memcpy as one instruction; hidden in every world so that counts compare.
KERNEL_ARGS = ("quiet", "arm64.nomops")
# The host image then runs a task that keeps the CPU from waiting: see docs/machine.md, "Deterministic machines".
DETERMINISTIC_KERNEL_ARGS = ("orch.deterministic",)


@dataclass(frozen=True)
class UpOptions:
    """How to bring the machine up; `seed` is that of a deterministic one and its guests, others ignore it.

    `tied`: the machine ends when the process that brings it up does, however that ends (machine/launch.py).
    """

    fresh: bool = False
    deterministic: bool = False
    count: bool = False
    count_mode: str = "fast"
    seed: int = DEFAULT_SEED
    tied: bool = False


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
        need(project.platform, Capability.RUN, project.testbed_file)
        self.project = project
        self.platform = project.platform
        self.progress = progress
        self.state = project.state_folder()
        self.cache = project.cache()
        self.graph = project.graph()
        self.packages = PackageStore(project.root, self.cache.root, frozen=frozen, notify=progress.notice)
        self.builder = Builder(self.graph, self.cache, self.packages, progress)
        self.keys = SshKeys(project.keys_folder())
        self.instance: Machine = self.platform.machine(self.state / "run")
        self.snapshots = Snapshots(self.state / "snapshots")
        self.guests = Guests(self)
        self.kept: Links | None = None
        """Connections that are shared and outlive their use, as long as somebody keeps them here."""

    # --- building -------------------------------------------------------------------------------------------------

    def build(self, also: Iterable[Node] = ()) -> dict[str, Path]:
        """Build what the machine needs, and nodes beside it; returns the machine's artifact folders by node name."""
        nodes = self.project.machine_nodes(self.graph)
        self.builder.build(list(dict.fromkeys([*nodes.values(), *also])))
        return {name: self.builder.artifact(node) for name, node in nodes.items()}

    def artifacts(self) -> dict[str, Path]:
        """Where the artifacts are or would be, without building."""
        nodes = self.project.machine_nodes(self.graph)
        return {name: self.builder.artifact(node) for name, node in nodes.items()}

    # --- the machine as data --------------------------------------------------------------------------------------

    def able(self, capability: Capability) -> bool:
        """Whether the platform can do that."""
        return capability in self.platform.capabilities

    def need(self, capability: Capability) -> None:
        """Raises UsageError if the platform cannot do that."""
        need(self.platform, capability, self.project.testbed_file)

    def platform_version(self) -> str:
        """What the emulator says of itself, as `10.0.13 (Debian …)`; it must be built. Raises OrchError."""
        return self.platform.version(Parts(self.artifacts(), self.project.given()))

    def blueprint(self, artifacts: dict[str, Path], options: UpOptions, port: int) -> Blueprint:
        """The machine for these artifacts and options; writes the overlay initrd."""
        return self.project.blueprint(
            artifacts,
            ssh_port=port,
            overlay=self._overlay(artifacts, self._seeded(options)),
            kernel_args=KERNEL_ARGS + (DETERMINISTIC_KERNEL_ARGS if options.deterministic else ()),
            deterministic=options.deterministic,
            seed=options.seed,
            count=options.count_mode if options.count else None,
        )

    def _overlay(self, artifacts: dict[str, Path], seeded: Sequence[GuestFile] = SEEDED) -> Path:
        """The per-testbed initrd, written anew; equal content gives equal bytes."""
        path = self.state / "overlay.cpio"
        write_overlay(self.overlay_files(artifacts, seeded), path)
        return path

    def _seeded(self, options: UpOptions) -> list[GuestFile]:
        """What guests need that comes with the host: all of it that is built, if the machine is never saved."""
        files = (*SEEDED, VMM, DRIVER) if options.deterministic else SEEDED
        return [file for file in self.project.present(files) if self.guests.source(file).exists()]

    def overlay_files(self, artifacts: dict[str, Path], seeded: Sequence[GuestFile] = SEEDED) -> list[OverlayFile]:
        """What this testbed adds to the host's root, or puts in place of what is there: SSH keys, modules, guests."""
        self.keys.ensure()
        modules = [artifacts[name] / f"{name}.ko" for name in ("rearm",) if name in artifacts]
        guests = {file.path: self.guests.source(file) for file in self.project.present(seeded)}
        return [
            *(
                OverlayFile(target, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
                for target, path in (guests | self.project.vmm_files()).items()
                if path.exists()
            ),
            *(OverlayFile(f"/usr/lib/{path.name}", path.read_bytes()) for path in modules if path.exists()),
            OverlayFile("/etc/dropbear/dropbear_ed25519_host_key", self.keys.dropbear_host_key(), 0o600),
            OverlayFile("/root/.ssh/authorized_keys", self.keys.authorized_keys().encode(), 0o600),
        ]

    def snapshot_key(self, blueprint: Blueprint) -> str:
        """Names the saved state of a machine: its artifacts, command line and overlay; not port, folders or plugin."""
        made_of = self.platform.identity(blueprint)
        return key_of({"arguments": made_of.arguments, "files": [file_digest(path) for path in made_of.files]})

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
            running, now = self.running(), self.instance.status()
            if running is not None and now.state is State.HOST_READY:
                return self._already_up(running, options)
            if now.state is State.PAUSED:
                name = self.project.config.name
                raise BootError(f"testbed '{name}' is up and paused: {now.detail}", hint="or `orch down`")
            self.instance.stop(self.project.config.timeouts.down)  # what an interrupted `up` or a crash left
            for warning in self.project.untested():
                self.progress.notice(f"untested: {warning}")
            artifacts = self.build()
            return self._start(artifacts, options)

    def _start(self, artifacts: dict[str, Path], options: UpOptions) -> UpResult:
        started = time.monotonic()
        blueprint = self.blueprint(artifacts, options, choose_port(self.project.ssh_port))
        self.guests.machine_started(self._seeded(options))
        power = PowerOn(self, blueprint, options, self.snapshot_key(blueprint))
        try:
            how, port = power.up()
            seconds = time.monotonic() - started
            if how == "cold":
                power.save()
        except BaseException:
            self.instance.stop(self.project.config.timeouts.down)
            raise
        return UpResult(how, seconds, port)

    def save(self, path: Path) -> None:
        """Save the running machine, whatever it does, to `path`; raises BootError if that fails."""
        self.need(Capability.SNAPSHOT)
        self.need_running()
        with self.exclusive(), self.progress.stage("save machine", estimate=2):
            self.instance.save_state(path, self.project.config.timeouts.snapshot)

    def replay(self, saved: Path, options: UpOptions) -> None:
        """Continue from a saved state and tell the machine nothing: neither the time nor new randomness.

        In a deterministic machine everything that follows is the same each time. Its EL2 timers stand still until
        something in it re-arms them (guest/host/rearm). Raises BootError.
        """
        self.need(Capability.REPLAY)
        with self.exclusive():
            self.instance.stop(self.project.config.timeouts.down)
            blueprint = self.blueprint(self.artifacts(), options, choose_port(self.project.ssh_port))
            PowerOn(self, blueprint, options).replay(saved)

    def _already_up(self, running: dict[str, Any], options: UpOptions) -> UpResult:
        """A running machine will do unless something was asked for that it does not have."""
        wanted, has = dataclasses.asdict(options), running["options"]
        missing = [name for name in ("deterministic", "count") if wanted[name] and not has[name]]
        if options.deterministic and options.seed != has.get("seed", DEFAULT_SEED):
            missing.append("seed")
        if options.tied != has.get("tied", False):
            missing.append("tied")
        if options.fresh or missing or (options.count and wanted["count_mode"] != has["count_mode"]):
            raise UsageError(f"testbed '{self.project.config.name}' is up with other options", hint="`orch down` first")
        return UpResult("already up", 0.0, int(running["ssh_port"]))

    def down(self) -> bool:
        """Stop the machine and remove what it left; returns whether there was one."""
        with self.exclusive():
            was_up = self.running() is not None
            if was_up and self.instance.status().state is not State.PAUSED:  # one that stands still would be waited for
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
        """An open SSH connection to the emulated host: the one that is kept, or one of its own."""
        with self.kept.to(World.HOST) if self.kept is not None else self.open_host(timeout) as link:
            yield link

    def link(self, name: str) -> AbstractContextManager[Connection]:
        """An open SSH connection to the world of that name, likewise."""
        return self.kept.to(name) if self.kept is not None else self.world(name).link()

    @contextmanager
    def open_host(self, timeout: float | None = None) -> Iterator[Connection]:
        """An SSH connection to the emulated host of its own."""
        port = int(self.need_running()["ssh_port"])
        try:
            with ssh.opened(self.server(port), timeout or self.project.config.timeouts.ssh) as link:
                try:
                    yield link
                except ssh.LostError:
                    raise HostWorld(self).lost() from None
        except BootError as error:
            raise self._paused(error) or error from None

    def _paused(self, error: BootError) -> BootError | None:
        """The error of a machine that is silent because it stands still; None if it does not."""
        now = self.instance.status()
        if now.state is not State.PAUSED or now.detail in error.message:
            return None
        return BootError(f"{error.message}: the machine is paused: {now.detail}", hint="or `orch down`")

    def server(self, port: int) -> ssh.Server:
        """The emulated host's SSH server behind a port of loopback, known by its key."""
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
            "qemu_pid": now.emulator.pid if now.emulator and now.alive else None,
            "rss_mib": (now.emulator_rss + now.supervisor_rss) >> 20 if now.alive else None,
            "logs": str(self.instance.console_folder),
            "last_line": now.last_line or None,
            "untested": self.project.untested(),
            "guests": self.guests.status(),
        }

    def console_logs(self) -> dict[str, Path]:
        """The time-stamped log of each console that has one."""
        return {name: path for name, path in self.instance.console_logs().items() if path.exists()}

    def counter(self, timeout: float = 5.0) -> Counter:
        """What counts in the running machine; `timeout` (s) is that of a request. Raises UsageError if nothing does."""
        self.need(Capability.COUNT)
        record = self.need_running()
        if not record["options"]["count"]:
            raise UsageError("this machine runs without the counter", hint="`orch down`, then `orch up --count`")
        return self.instance.counter(timeout)
