# SPDX-License-Identifier: Apache-2.0
"""A guest as data: its name and addresses, its kernel's command line and the VMM's commands; all pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from orchestrator.errors import UsageError
from orchestrator.schema import vmm_template
from orchestrator.schema.testbed import Guest, Vmm
from orchestrator.shell.keys import host_key_line
from orchestrator.words import GUEST_WORLDS, World

FOLDER = "/run/guest"  # in the host: one folder a guest, which the VMM fills
READY_LINE = "orch: guest-ready"
GUESTS_OF_A_WORLD = 8
_VMM = "/usr/bin/rvmm"
_NETWORK_RULES = "/usr/lib/guest/network.nft"
_RUN_BITS = 24  # of the run's number in a hardware address
# Both goes page by page in a realm: for 256 MiB, all touched, 10 to 40 s were seen on a busy build computer.
PAGES_SECONDS = 10.0
PAGES_SECONDS_PER_64_MIB = 15.0


@dataclass(frozen=True, order=True)
class GuestName:
    """One guest: `realm` is the first of its world, `realm2` the second."""

    world: World
    number: int = 1

    def __post_init__(self) -> None:
        if self.world not in GUEST_WORLDS:
            raise ValueError(f"the {self.world} is no guest")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Understand a name; None if it is none."""
        match = re.fullmatch(f"({'|'.join(GUEST_WORLDS)})([2-{GUESTS_OF_A_WORLD}]?)", text)
        return cls(World(match[1]), int(match[2] or 1)) if match else None

    def __str__(self) -> str:
        return str(self.world) if self.number == 1 else f"{self.world}{self.number}"

    @property
    def folder(self) -> str:
        """Where the VMM keeps this guest's files, in the host."""
        return f"{FOLDER}/{self}"

    @property
    def tap(self) -> str:
        """The host's end of the guest's network; it lives and dies with the VMM."""
        return f"tap-{self}"

    @property
    def subnet(self) -> int:
        """Third number of the guest's addresses, different for each guest of a host."""
        return self.number if self.world is World.REALM else GUESTS_OF_A_WORLD + self.number

    @property
    def address(self) -> str:
        """IPv4 address of the guest; images/guest/root/init makes the same of the hardware address."""
        return f"10.79.{self.subnet}.2"

    @property
    def host_address(self) -> str:
        """IPv4 address of the host's end."""
        return f"10.79.{self.subnet}.1"

    def mac(self, run: int) -> str:
        """Hardware address: all that differs from start to start, which the guest reads there and is not measured."""
        return ":".join(f"{byte:02x}" for byte in (2, 0, *(run % 2**_RUN_BITS).to_bytes(3, "big"), self.subnet))


class StopCode(IntEnum):
    """Exit codes of the VMM's `stop`."""

    GONE = 0
    NO_GUEST = 1
    TIMED_OUT = 4


@dataclass(frozen=True)
class GuestFile:
    """A file that guests need in the host: from `name` of the node's artifact to `path`."""

    node: str
    name: str
    path: str


KERNEL = GuestFile("guest-kernel", "Image", "/usr/lib/guest/Image")
INITRD = GuestFile("guest-image", "initrd", "/usr/lib/guest/initrd")
VMM = GuestFile("rvmm", "rvmm", _VMM)
DRIVER = GuestFile("realm-driver", "realm.ko", "/usr/lib/realm.ko")
DISK = "/usr/lib/guest/disk"
# The large ones, which seldom change, come with the host's own initrd: docs/guests.md has the figures.
SEEDED = (KERNEL, INITRD)


def files_for(world: World) -> tuple[GuestFile, ...]:
    """What has to be in the host before a guest of this world starts."""
    return (*SEEDED, VMM, DRIVER) if world is World.REALM else (*SEEDED, VMM)


def kernel_command_line(guest: Guest, user_key: str) -> str:
    """What a guest's Linux sees; nothing in it depends on the world or the start.

    `user_key`: base64 of the public Ed25519 key that may log in.
    """
    words = [
        "console=ttyAMA0",
        "panic=-1",
        "quiet",
        "nokaslr",
        "arm64.nomops",  # as in the host: FEAT_MOPS would count a whole memcpy as one instruction
        # A bounce buffer is filled from the page that a device will write to, whatever was in there: docs/privacy.md.
        "init_on_alloc=1",
        f"swiotlb={guest.swiotlb_slabs}",
        f"orch.key={user_key}",
        guest.cmdline_extra,
    ]
    return " ".join(filter(None, words))


@dataclass(frozen=True)
class Start:
    """Everything that decides how a guest starts; `run` numbers the starts in one host."""

    name: GuestName
    config: Guest
    command_line: str
    run: int
    pretouch: bool = False
    seed: int | None = None  # fixes the guest's entropy
    foreign: Vmm | None = None  # what runs this guest in place of our VMM


def vmm_command(start: Start) -> list[str]:
    """The VMM's argument vector in the host, which returns once the guest runs."""
    return [
        *(_VMM, "run"),
        *("--world", str(start.name.world)),
        *("--dir", start.name.folder),
        *("--kernel", KERNEL.path),
        *("--initrd", INITRD.path),
        *("--cmdline", start.command_line),
        *("--mem", str(start.config.memory_mib)),
        *("--vcpus", str(start.config.vcpus)),
        *("--tap", start.name.tap),
        *("--tap-address", f"{start.name.host_address}/24"),
        *("--mac", start.name.mac(start.run)),
        *(["--disk", DISK] if start.config.disk is not None else []),
        *("--run-id", str(start.run)),
        *(["--pretouch"] if start.pretouch else []),
        *(["--seed", str(start.seed)] if start.seed is not None else []),
        "--detach",
    ]


def start_command(start: Start) -> list[str]:
    """The argument vector in the host that starts a guest, in our VMM or in another that ours looks after."""
    if start.foreign is None:
        return vmm_command(start)
    return [
        *(_VMM, "wrap", start.name.folder),
        *("--world", str(start.name.world)),
        *("--tap", start.name.tap),
        *("--tap-address", f"{start.name.host_address}/24"),
        *("--run-id", str(start.run)),
        *("--detach", "--"),
        *_foreign_command(start, start.foreign),
    ]


def _foreign_command(start: Start, foreign: Vmm) -> list[str]:
    """The template of `stack.vmm` for this guest; raises UsageError where it cannot be rendered."""
    values: dict[str, vmm_template.Value] = {
        "world": str(start.name.world),
        "kernel": KERNEL.path,
        "initrd": INITRD.path,
        "cmdline": start.command_line,
        "memory_mib": start.config.memory_mib,
        "vcpus": start.config.vcpus,
        "tap": start.name.tap,
        "host_address": start.name.host_address,
        "address": start.name.address,
        "mac": start.name.mac(start.run),
        "disk": DISK if start.config.disk is not None else "",
        "folder": start.name.folder,
        "run": start.run,
    }
    try:
        return vmm_template.render(foreign.command, values)
    except ValueError as error:
        raise UsageError(f"stack.vmm.command: {start.name}: {error}") from None


def start_script(name: GuestName, command: list[str]) -> str:
    """Shell for the host: the network's rules, a fresh folder, then the VMM.

    The VMM's words go to a file, so that no pipe keeps SSH waiting.
    """
    words, loaded = f"{FOLDER}/{name}.start", f"{FOLDER}/network-rules"
    return (
        # A file tells at once what another start of nft would take a tenth of a second for.
        f"[ -e {loaded} ] || {{ nft -f {_NETWORK_RULES} && mkdir -p {FOLDER} && : >{loaded}; }} || exit 1; "
        f"rm -rf {name.folder} && mkdir -p {name.folder} || exit 1; "
        f"{shlex.join(command)} </dev/null >{words} 2>&1; code=$?; cat {words} >&2; exit $code"
    )


def wait_command(name: GuestName, seconds: float) -> list[str]:
    """The VMM's argument vector that waits for the ready line: 0 it came, 1 the guest ended first, 4 time-out."""
    return [_VMM, "wait", name.folder, READY_LINE, str(max(1, round(seconds)))]


def end_command(name: GuestName) -> list[str]:
    """The VMM's argument vector that returns when the guest is gone, or when its own standard input ends."""
    return [_VMM, "wait", name.folder, "--end"]


def console_command(name: GuestName) -> list[str]:
    """The VMM's argument vector that joins a terminal to the guest's console."""
    return [_VMM, "console", name.folder]


def stop_command(name: GuestName, seconds: float, *, kill: bool = False) -> list[str]:
    """The VMM's argument vector that sends SIGTERM (SIGKILL) and waits until all is gone; it ends with a StopCode."""
    return [_VMM, "stop", name.folder, str(max(1, round(seconds))), *(["--kill"] if kill else [])]


def pages_limit(memory_mib: int) -> float:
    """How long, s, it may take to populate so much memory of a guest, or to take it apart."""
    return PAGES_SECONDS + memory_mib / 64 * PAGES_SECONDS_PER_64_MIB


def announced_script(name: GuestName) -> str:
    """Shell for the host that prints what a guest's /init has said of itself; `read_announced` understands it."""
    return f"tr -d '\\r' <{name.folder}/console.log | sed -n 's/^orch: \\(host-key\\|booted\\) /\\1 /p'"


@dataclass(frozen=True)
class Announced:
    """What a guest has said of itself: its SSH host key (None: no network), guest clock (s) at /init and when ready."""

    host_key: str | None
    kernel_seconds: float | None
    ready_seconds: float | None


def read_announced(text: str) -> Announced:
    """Understand the output of `announced_script`: the first of each kind, None where it is missing or no sense."""
    facts: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, _, rest = line.partition(" ")
        facts.setdefault(name, rest.split(" "))
    times = facts.get("booted", [])
    sound = len(times) == 2 and all(re.fullmatch(r"\d+\.\d+", each) for each in times)
    return Announced(
        host_key=host_key_line(facts.get("host-key", [])),
        kernel_seconds=float(times[0]) if sound else None,
        ready_seconds=float(times[1]) if sound else None,
    )
