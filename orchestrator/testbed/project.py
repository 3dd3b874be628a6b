# SPDX-License-Identifier: Apache-2.0
"""Where things are: the checkout, its testbed file, the user's cache, and the state folder of one testbed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from orchestrator.build.cache import Cache, default_cache, users_own
from orchestrator.build.graph import Graph, Node
from orchestrator.errors import UsageError
from orchestrator.machine.platform import DEFAULT_SEED, Blueprint, Capability, Parts, Platform, need
from orchestrator.registry import PLATFORMS
from orchestrator.schema import vmm_template
from orchestrator.schema.testbed import TestbedConfig
from orchestrator.schema.yamlfile import load
from orchestrator.testbed.guest import KERNEL, RUNTIME, SEEDED, GuestFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VMM_FOLDER = "/usr/lib/vmm"  # in the host
_ARM64_MAGIC = b"ARM\x64"  # Documentation/arch/arm64/booting.rst: at byte 56
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Project:
    """A checkout together with one testbed file of it; `state` and `keys` are folders that were given (with_state)."""

    root: Path
    testbed_file: Path
    config: TestbedConfig
    state: Path | None = None
    keys: Path | None = None

    @classmethod
    def open(cls, testbed_file: Path | None = None) -> Project:
        """Load `testbed_file`, or ./testbed.yaml, or the checkout's own; raises UsageError on a mistake in it."""
        chosen = testbed_file or Path("testbed.yaml")
        if testbed_file is None and not chosen.exists():
            chosen = CHECKOUT / "testbed.yaml"
        chosen = chosen.resolve()
        config = load(chosen, TestbedConfig)
        for key, path in (_given(config) | {"guest.disk": config.guest.disk}).items():
            if path is not None and not _from(chosen, path).is_file():
                raise UsageError(f"{chosen}: {key}: no such file: {path}")
        _check_guest_kernel(chosen, config)
        _check_vmm_files(chosen, config)
        return cls(CHECKOUT, chosen, config)

    def path(self, value: Path) -> Path:
        """A path from the testbed file: relative ones start at the file's folder."""
        return _from(self.testbed_file, value)

    def with_state(self, folder: Path, keys: Path | None = None) -> Project:
        """The same testbed with its machine in `folder`: logs, sockets, SSH port and lock of its own.

        The SSH keys stay those of the user's own testbed unless `keys` names their folder: they are part of what the
        machine is made of, so machines that share them are equal byte for byte.
        """
        return dataclasses.replace(self, state=folder.resolve(), keys=keys.resolve() if keys else self.keys)

    def state_folder(self) -> Path:
        """Logs and state of this testbed, apart from every other testbed file of the user."""
        return self._users_own() if self.state is None else self.state

    def keys_folder(self) -> Path:
        """The SSH keys of this testbed."""
        return self._users_own() / "keys" if self.keys is None else self.keys

    @property
    def ssh_port(self) -> int:
        """The port to ask for, 0 for any: beside others of its testbed, a machine cannot insist on one."""
        return self.config.ssh.port if self.state is None else 0

    def _users_own(self) -> Path:
        place = hashlib.sha256(os.fsencode(self.testbed_file)).hexdigest()[:8]
        return users_own(platformdirs.user_state_dir, "XDG_STATE_HOME") / f"{self.config.name}-{place}"

    def cache(self) -> Cache:
        """The user's artifact cache."""
        return Cache(default_cache())

    def graph(self) -> Graph:
        """The declared artifacts."""
        return Graph.load(self.root)

    def overrides(self) -> dict[str, dict[str, str]]:
        """Node parameters that the testbed file sets."""
        config = self.config
        kernel = {"hz": str(config.kernel.host_hz)}
        if config.kernel.fragment is not None:
            kernel["fragment_file"] = str(self.path(config.kernel.fragment))
        firmware = {"rmm_file": str(self.path(config.stack.rmm))} if config.stack.rmm else {}
        return {"kernel": kernel, "firmware": firmware}

    def node(self, graph: Graph, request: str) -> Node:
        """A node with the testbed's parameters; those written in the request win."""
        return graph.node(request, self.overrides())

    def machine_nodes(self, graph: Graph) -> dict[str, Node]:
        """The nodes that a running machine needs, by name; a part given ready-made in `stack:` is left out."""
        nodes = {name: self.node(graph, name) for name in self.platform.nodes(self.given())}
        return nodes | self.guest_nodes(graph, SEEDED)

    def guest_nodes(self, graph: Graph, files: Iterable[GuestFile]) -> dict[str, Node]:
        """The nodes that these files of guests come from; a guest's kernel is the host's where the ticks are equal."""
        requests = {"guest-kernel": f"kernel:hz={self.config.kernel.guest_hz}"}
        replaced = {KERNEL.node} if self.config.stack.guest_kernel is not None else set()
        replaced |= {RUNTIME.node} if not self.mounts_runtime else set()
        return {
            file.node: self.node(graph, requests.get(file.node, file.node))
            for file in files
            if file.node not in replaced
        }

    @property
    def mounts_runtime(self) -> bool:
        """Whether worlds get the runtime as a disk: if both kernels are ours, and each VMM is or names the disk."""
        stack = self.config.stack
        named = stack.vmm is None or "runtime" in vmm_template.variables(stack.vmm.command)
        return stack.host_kernel is None and stack.guest_kernel is None and named

    def present(self, files: Iterable[GuestFile]) -> tuple[GuestFile, ...]:
        """Those of the files that guests of this testbed have."""
        return tuple(file for file in files if file is not RUNTIME or self.mounts_runtime)

    def guest_module(self, graph: Graph, request: str) -> Node:
        """The node of a module that is built for the guests' kernel rather than the host's."""
        overrides = self.overrides()
        overrides["kernel"]["hz"] = str(self.config.kernel.guest_hz)
        return graph.node(request, overrides)

    def vmm_files(self) -> dict[str, Path]:
        """The files of the VMM that replaces ours, by path in the host; a folder is taken whole."""
        found: dict[str, Path] = {}
        for given in self.config.stack.vmm.files if self.config.stack.vmm else []:
            top = self.path(given)
            paths = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
            found |= {f"{VMM_FOLDER}/{path.relative_to(top.parent)}": path for path in paths}
        return found

    @property
    def platform(self) -> Platform:
        """What the machine is emulated by."""
        platform: Platform = PLATFORMS.find(self.config.machine.platform)
        return platform

    def given(self) -> dict[str, Path]:
        """The files that stand in place of artifacts, or that the platform asks for, by key of the testbed file."""
        return {key: self.path(path) for key, path in _given(self.config).items() if path is not None}

    def blueprint(
        self,
        artifacts: Mapping[str, Path],
        *,
        ssh_port: int,
        overlay: Path | None = None,
        kernel_args: tuple[str, ...] = (),
        deterministic: bool = False,
        seed: int = DEFAULT_SEED,
        count: str | None = None,
    ) -> Blueprint:
        """The machine of these artifacts (folders by node); raises UsageError for what its platform cannot do."""
        for wanted, capability in ((deterministic, Capability.DETERMINISTIC), (count, Capability.COUNT)):
            if wanted:
                need(self.platform, capability, self.testbed_file)
        blueprint = Blueprint(
            file=self.testbed_file,
            config=self.config.machine,
            run_folder=self.state_folder() / "run",
            parts=Parts(artifacts, self.given()),
            ssh_port=ssh_port,
            overlay=overlay,
            kernel_args=kernel_args,
            deterministic=deterministic,
            seed=seed,
            count=count,
        )
        self.platform.check(blueprint)
        return blueprint

    def untested(self) -> list[str]:
        """What `stack:` replaces, for the warning that comes with it."""
        stack = self.config.stack
        parts = {name: value for name, value in stack.model_dump(exclude={"vmm"}).items() if value is not None}
        if stack.vmm is not None:
            parts[f"vmm ({', '.join(stack.vmm.worlds)})"] = textwrap.shorten(stack.vmm.command, 80, placeholder=" …")
        return [f"stack.{name} = {value}: not tested with this testbed" for name, value in parts.items()]


def _given(config: TestbedConfig) -> dict[str, Path | None]:
    """Keys of files that the testbed file names: those of `stack:`, and those of the platform's own section."""
    stack = {f"stack.{name}": getattr(config.stack, name) for name in ("qemu", "rmm", "host_kernel", "guest_kernel")}
    own = {name: value for name, value in config.machine.options or () if isinstance(value, Path)}
    return stack | {f"machine.{config.machine.platform}.{name}": value for name, value in own.items()}


def _check_guest_kernel(testbed_file: Path, config: TestbedConfig) -> None:
    """Raises UsageError unless the guests' kernel has the header of an arm64 Image, before anything is booted."""
    given = config.stack.guest_kernel
    if given is None:
        return
    with _from(testbed_file, given).open("rb") as stream:
        header = stream.read(64)
    if header[56:60] != _ARM64_MAGIC:
        raise UsageError(
            f"{testbed_file}: stack.guest_kernel: {given} is no arm64 kernel Image",
            hint="it is arch/arm64/boot/Image of a kernel's build, neither compressed nor vmlinux",
        )


def _check_vmm_files(testbed_file: Path, config: TestbedConfig) -> None:
    """Raises UsageError if a file of the VMM is not there, or two have one name."""
    given = config.stack.vmm.files if config.stack.vmm else []
    for path in given:
        if not _from(testbed_file, path).exists():
            raise UsageError(f"{testbed_file}: stack.vmm.files: no such file: {path}")
    names = [path.name for path in given]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{testbed_file}: stack.vmm.files: more than one is called '{name}'")


def _from(testbed_file: Path, value: Path) -> Path:
    return value if value.is_absolute() else testbed_file.parent / value
