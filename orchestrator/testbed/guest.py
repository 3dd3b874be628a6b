# SPDX-License-Identifier: Apache-2.0
"""A guest as data: its kernel's command line, the VMM's command line, and what the host reports about it; all pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.schema.testbed import Guest

FOLDER = "/run/guest"  # in the host: one folder a world, which the VMM fills
READY_LINE = "orch: guest-ready"
_VMM = "/usr/bin/rvmm"
_DRIVER_REPORTS = ("granules", "leaked", "calls")
# For the VMM to answer SIGUSR1 with its figures, steps of 20 ms.
_STATS_STEPS = 50


class World(StrEnum):
    """The guests: alike in everything but the world they run in."""

    REALM = "realm"
    VM = "vm"

    @property
    def folder(self) -> str:
        """Where the VMM keeps this guest's files, in the host."""
        return f"{FOLDER}/{self}"


class GuestState(StrEnum):
    """What became of a guest; `lost` is a VMM that died without a word."""

    ABSENT = "absent"
    RUNNING = "running"
    OFF = "off"
    RESET = "reset"
    STOPPED = "stopped"
    ERROR = "error"
    LOST = "lost"


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


def vmm_command(world: World, guest: Guest, run: int, *, pretouch: bool = False) -> list[str]:
    """The VMM's argument vector in the host; the guest runs behind it when it returns."""
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


def end_script(world: World, signal: str, seconds: float) -> str:
    """Shell for the host: signal the VMM and wait until its process is gone; 0 it is, 4 time-out."""
    return (
        f"read -r pid <{world.folder}/pid; kill -{signal} $pid; left={round(seconds * 20)}; "
        f"while {_is_vmm('$pid')}; do [ $left -gt 0 ] || exit 4; left=$((left-1)); sleep 0.05; done"
    )


def probe_script() -> str:
    """Shell for the host that reports on both guests and the driver, one fact a line; `read_probe` understands it."""
    reports = " ".join(_DRIVER_REPORTS)
    return (
        f"for world in {' '.join(World)}; do cd {FOLDER}/$world 2>/dev/null || continue; "
        "pid=; [ ! -e pid ] || read -r pid <pid; "
        f'if {_is_vmm("$pid")}; then echo "$world pid $pid"; '
        "rm -f stats.json; kill -USR1 $pid; left="
        f"{_STATS_STEPS}; while [ ! -s stats.json ] && [ $left -gt 0 ]; do left=$((left-1)); sleep 0.02; done; "
        'echo "$world rss $(sed -n "s/VmRSS:[^0-9]*//p" /proc/$pid/status)"; else echo "$world gone"; fi; '
        '[ ! -e exit ] || echo "$world exit $(head -n 1 exit)"; '
        "[ ! -e stats.json ] || echo \"$world stats $(tr '\\n' ' ' <stats.json)\"; "
        "done; cd /sys/kernel/debug/realm 2>/dev/null && "
        f"for report in {reports}; do echo \"driver $report $(tr '\\n' ' ' <$report)\"; done; "
        'echo "host available $(sed -n "s/MemAvailable:[^0-9]*//p" /proc/meminfo)"'
    )


def _is_vmm(pid: str) -> str:
    """Shell condition: the process exists, is no zombie, and is the VMM (also one whose file was replaced)."""
    return f"case $(readlink /proc/{pid}/exe) in {_VMM}*) true ;; *) false ;; esac"


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


def read_probe(text: str) -> Probe:
    """Understand the output of `probe_script`; lines of other kinds are passed over."""
    facts: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        subject, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        facts.setdefault(subject, {})[name] = value.strip()
    return Probe(
        guests={world: _report(facts[world]) if world in facts else GuestReport() for world in World},
        driver={name: facts["driver"][name] for name in _DRIVER_REPORTS if name in facts.get("driver", {})},
        available_kib=_kib(facts.get("host", {}).get("available", "")) or 0,
    )


def _report(facts: dict[str, str]) -> GuestReport:
    stats = _json_object(facts.get("stats", ""))
    if "pid" in facts:
        return GuestReport(GuestState.RUNNING, "", int(facts["pid"]), _kib(facts.get("rss", "")), stats)
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
