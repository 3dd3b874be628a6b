# SPDX-License-Identifier: Apache-2.0
"""A guest as data: its kernel's command line, the VMM's command line, and what the host reports about it; all pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from orchestrator.schema.testbed import Guest

FOLDER = "/run/guest"  # in the host: one folder a world, which the VMM fills
READY_LINE = "orch: guest-ready"
_VMM = "/usr/bin/rvmm"
_DRIVER_REPORTS = ("granules", "leaked", "calls")
# s between looks for the VMM's answer to SIGUSR1. It answers at once; one that takes its guest apart never does.
_STATS_PAUSES = "0.01 0.05 0.2 0.7"
# Both goes page by page in a realm: for 256 MiB, all touched, 10 to 40 s were seen on a busy build computer.
PAGES_SECONDS = 10.0
PAGES_SECONDS_PER_64_MIB = 15.0


class World(StrEnum):
    """The guests: alike in everything but the world they run in."""

    REALM = "realm"
    VM = "vm"

    @property
    def folder(self) -> str:
        """Where the VMM keeps this guest's files, in the host."""
        return f"{FOLDER}/{self}"


class GuestState(StrEnum):
    """What became of a guest; `ending` is a killed VMM that the kernel still clears away, `lost` one that it has."""

    ABSENT = "absent"
    RUNNING = "running"
    ENDING = "ending"
    OFF = "off"
    RESET = "reset"
    STOPPED = "stopped"
    ERROR = "error"
    LOST = "lost"

    @property
    def there(self) -> bool:
        """Whether the guest still holds memory of the host."""
        return self in (GuestState.RUNNING, GuestState.ENDING)


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
# The large ones, which seldom change, come with the host's own initrd: docs/guests.md has the figures.
SEEDED = (KERNEL, INITRD)


def files_for(world: World) -> tuple[GuestFile, ...]:
    """What has to be in the host before a guest of this world starts."""
    return (*SEEDED, VMM, DRIVER) if world is World.REALM else (*SEEDED, VMM)


def kernel_command_line(guest: Guest, run: int) -> str:
    """What a guest's Linux sees; nothing in it depends on the world. `run` numbers the start for the boot marker."""
    words = [
        "console=ttyAMA0",
        "panic=-1",
        "quiet",
        "nokaslr",
        "arm64.nomops",  # as in the host: FEAT_MOPS would count a whole memcpy as one instruction
        f"swiotlb={guest.swiotlb_slabs}",
        f"orch.run={run}",
        guest.cmdline_extra,
    ]
    return " ".join(filter(None, words))


def vmm_command(world: World, guest: Guest, run: int, *, pretouch: bool = False, seed: int | None = None) -> list[str]:
    """The VMM's argument vector in the host, which returns once the guest runs; `seed` fixes the guest's entropy."""
    return [
        *(_VMM, "run"),
        *("--world", str(world)),
        *("--dir", world.folder),
        *("--kernel", KERNEL.path),
        *("--initrd", INITRD.path),
        *("--cmdline", kernel_command_line(guest, run)),
        *("--mem", str(guest.memory_mib)),
        *("--vcpus", str(guest.vcpus)),
        *("--run-id", str(run)),
        *(["--pretouch"] if pretouch else []),
        *(["--seed", str(seed)] if seed is not None else []),
        "--detach",
    ]


def start_script(world: World, command: list[str]) -> str:
    """Shell for the host: a fresh folder, then the VMM, whose words go to a file so that no pipe keeps SSH waiting."""
    words = f"{FOLDER}/{world}.start"
    return (
        f"rm -rf {world.folder} && mkdir -p {world.folder} || exit 1; "
        f"{shlex.join(command)} </dev/null >{words} 2>&1; code=$?; cat {words} >&2; exit $code"
    )


def wait_command(world: World, seconds: float) -> list[str]:
    """The VMM's argument vector that waits for the ready line: 0 it came, 1 the guest ended first, 4 time-out."""
    return [_VMM, "wait", world.folder, READY_LINE, str(max(1, round(seconds)))]


def console_command(world: World) -> list[str]:
    """The VMM's argument vector that joins a terminal to the guest's console."""
    return [_VMM, "console", world.folder]


def stop_command(world: World, seconds: float, *, kill: bool = False) -> list[str]:
    """The VMM's argument vector that sends SIGTERM (SIGKILL) and waits until all is gone; it ends with a StopCode."""
    return [_VMM, "stop", world.folder, str(max(1, round(seconds))), *(["--kill"] if kill else [])]


def pages_limit(memory_mib: int) -> float:
    """How long, s, it may take to populate so much memory of a guest, or to take it apart."""
    return PAGES_SECONDS + memory_mib / 64 * PAGES_SECONDS_PER_64_MIB


def probe_script(*, stats: bool = False) -> str:
    """Shell for the host that reports on both guests and the driver, one fact a line; `read_probe` understands it.

    It costs the measured machine instructions, hence shell built-ins where they will do, and statistics when asked for.
    """
    # A killed VMM loses its memory and with it `exe` before the realm is taken apart; `comm` stays until the very end.
    running = f"{_ASK_STATS}; {_SHOW_RSS}" if stats else ":"
    return (
        f"for world in {' '.join(World)}; do cd {FOLDER}/$world 2>/dev/null || continue; "
        "pid=; name=; { read -r pid <pid; read -r name </proc/$pid/comm; } 2>/dev/null; "
        f'if [ "$name" != {_VMM.rpartition("/")[2]} ]; then echo "$world gone"; else echo "$world pid $pid"; '
        f'if [ ! -e /proc/$pid/exe ]; then echo "$world ending"; else {running}; fi; fi; '
        '[ ! -e exit ] || { read -r line <exit; echo "$world exit $line"; }; '
        f"{_SHOW_STATS if stats else ':'}; done; "
        f"cd /sys/kernel/debug/realm 2>/dev/null && for report in {' '.join(_DRIVER_REPORTS)}; do "
        "echo \"driver $report $(tr '\\n' ' ' <$report)\"; done; "
        'echo "host available $(sed -n "s/MemAvailable:[^0-9]*//p" /proc/meminfo)"'
    )


# The VMM replaces its file of statistics: wait for another one in its place; the old one will do if none comes.
_ASK_STATS = (
    "old=/dev/null; [ ! -e stats.json ] || old=stats.json; { kill -USR1 $pid; "
    f"for pause in {_STATS_PAUSES}; do [ -e stats.json ] && [ ! stats.json -ef /proc/self/fd/3 ] && break; "
    "sleep $pause; done; } 3<$old"
)
_SHOW_STATS = "[ ! -e stats.json ] || echo \"$world stats $(tr '\\n' ' ' <stats.json)\""
_SHOW_RSS = 'echo "$world rss $(sed -n "s/VmRSS:[^0-9]*//p" /proc/$pid/status)"'


@dataclass(frozen=True)
class GuestReport:
    """One guest as the host sees it; `detail` is the text behind `error: `, `rss_kib` the VMM's resident memory."""

    state: GuestState = GuestState.ABSENT
    detail: str = ""
    pid: int | None = None
    rss_kib: int | None = None
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """What the host reports: its guests, the driver's reports by name, memory in KiB that is still free."""

    guests: dict[World, GuestReport]
    driver: dict[str, str]
    available_kib: int = 0


def read_probe(text: str) -> Probe | None:
    """Understand the output of `probe_script`; None if its last line, or the number in there, is missing."""
    facts: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        subject, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        facts.setdefault(subject, {})[name] = value.strip()
    available = _kib(facts.get("host", {}).get("available", ""))
    if available is None:
        return None
    return Probe(
        guests={world: _report(facts[world]) if world in facts else GuestReport() for world in World},
        driver={name: facts["driver"][name] for name in _DRIVER_REPORTS if name in facts.get("driver", {})},
        available_kib=available,
    )


def _report(facts: dict[str, str]) -> GuestReport:
    stats = _json_object(facts.get("stats", ""))
    if "pid" in facts:
        state = GuestState.ENDING if "ending" in facts else GuestState.RUNNING
        return GuestReport(state, "", int(facts["pid"]), _kib(facts.get("rss", "")), stats)
    state, detail = read_exit(facts.get("exit"))
    return GuestReport(state, detail, stats=stats)


def read_exit(line: str | None) -> tuple[GuestState, str]:
    """State and detail from the VMM's last line (`off`, `reset`, `stopped`, `error: TEXT`); None: it left none."""
    if line is None:
        return GuestState.LOST, "the VMM ended without a word"
    word, _, detail = line.partition(":")
    if word in ("off", "reset", "stopped", "error"):
        return GuestState(word), detail.strip()
    return GuestState.ERROR, line


def _kib(text: str) -> int | None:
    number = text.split(" ", maxsplit=1)[0]
    return int(number) if number.isdigit() else None


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
