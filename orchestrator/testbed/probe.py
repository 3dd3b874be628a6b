# SPDX-License-Identifier: Apache-2.0
"""What the host reports about its guests: the script that asks, and the answer understood; all pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.machine.stamping import printable
from orchestrator.testbed import guest
from orchestrator.testbed.guest import GuestName

_PAGE_KIB = 4
_DRIVER_REPORTS = ("granules", "leaked", "calls", "exits")
# s between looks for the VMM's answer to SIGUSR1. It answers at once; one that takes its guest apart never does.
_STATS_PAUSES = "0.01 0.05 0.2 0.7"


class GuestState(StrEnum):
    """What became of a guest; `ending` is a killed VMM that the kernel still clears away, `lost` one that it has."""

    ABSENT = "absent"
    RUNNING = "running"
    ENDING = "ending"
    OFF = "off"
    RESET = "reset"
    PANIC = "panic"
    FAILED = "failed"
    STOPPED = "stopped"
    ERROR = "error"
    LOST = "lost"

    @property
    def there(self) -> bool:
        """Whether the guest still holds memory of the host."""
        return self in (GuestState.RUNNING, GuestState.ENDING)


def probe_script(*, stats: bool = False) -> str:
    """Shell for the host that reports on all guests and the driver, one fact a line; `read_probe` understands it.

    It costs instructions, which may be counted: hence shell built-ins where they will do, and statistics when asked
    for.
    """
    # A killed VMM loses its memory and with it `exe` before the realm is taken apart; `comm` stays until the very end.
    running = f"{_ASK_STATS}; {_SHOW_RESIDENT}" if stats else _SHOW_RESIDENT
    return (
        f"for folder in {guest.FOLDER}/*/; do cd $folder 2>/dev/null || continue; guest=${{PWD##*/}}; "
        "pid=; name=; { read -r pid <pid; read -r name </proc/$pid/comm; } 2>/dev/null; "
        f'if [ "$name" != {guest.VMM.name} ]; then echo "$guest gone"; else echo "$guest pid $pid"; '
        f'if [ ! -e /proc/$pid/exe ]; then echo "$guest ending"; else {running}; fi; fi; '
        f"if [ -e exit ]; then {_SHOW_EXIT}; fi; "
        f"{_SHOW_STATS if stats else ':'}; done; "
        f"cd /sys/kernel/debug/realm 2>/dev/null && for report in {' '.join(_DRIVER_REPORTS)}; do "
        "echo \"driver $report $(tr '\\n' ' ' <$report)\"; done; "
        'echo "host available $(sed -n "s/MemAvailable:[^0-9]*//p" /proc/meminfo)"'
    )


def stats_script(name: GuestName) -> str:
    """Shell for the host that prints a guest's statistics as they are now, on one line; nothing without a VMM."""
    its = f'read -r pid <pid && read -r name </proc/$pid/comm && [ "$name" = {guest.VMM.name} ]'
    return f"(cd {name.folder} && {its} && {{ {_ASK_STATS}; }} && tr '\\n' ' ' <stats.json)"


def read_stats(text: str) -> dict[str, int]:
    """The numbers in such statistics, by name; none where there are none."""
    return {key: value for key, value in _json_object(text).items() if type(value) is int}


# The VMM replaces its file of statistics: wait for another one in its place; the old one will do if none comes.
_ASK_STATS = (
    "old=/dev/null; [ ! -e stats.json ] || old=stats.json; { kill -USR1 $pid; "
    f"for pause in {_STATS_PAUSES}; do [ -e stats.json ] && [ ! stats.json -ef /proc/self/fd/3 ] && break; "
    "sleep $pause; done; } 3<$old"
)
_SHOW_STATS = "[ ! -e stats.json ] || echo \"$guest stats $(tr '\\n' ' ' <stats.json)\""
_SHOW_RESIDENT = 'read -r _ resident _ </proc/$pid/statm; echo "$guest resident $resident"'
# A panic asks for a reset, a guest whose /init gave up turns itself off: the console has the reason. It is the guest's
# own text: `echo` would make a line's end of a backslash and n in it.
_SHOW_EXIT = (
    "read -r line <exit; printf '%s\\n' \"$guest exit $line\"; case $line in "
    "reset) word=panic; text='.*Kernel panic - not syncing: ' ;; "
    "*) word=failed; text='^orch: guest-failed: ' ;; esac; "
    'reason=$(sed -n "s/$text//p" console.log 2>/dev/null | tail -n 1); '
    '[ -z "$reason" ] || printf \'%s\\n\' "$guest $word $reason"'
)


@dataclass(frozen=True)
class GuestReport:
    """One guest as the host sees it; `detail` is the text behind `error: `, `rss_kib` the VMM's resident memory."""

    state: GuestState = GuestState.ABSENT
    detail: str = ""
    pid: int | None = None
    rss_kib: int | None = None
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The state with its detail, as in 'error: no memory'."""
        return f"{self.state}: {self.detail}" if self.detail else str(self.state)


@dataclass(frozen=True)
class Probe:
    """What the host reports: the guests it has or had, the driver's reports by name, memory in KiB that is free."""

    guests: dict[GuestName, GuestReport]
    driver: dict[str, str]
    available_kib: int = 0

    def of(self, name: GuestName) -> GuestReport:
        """The report on one guest; absent if the host has never had it."""
        return self.guests.get(name, GuestReport())


def read_probe(text: str) -> Probe | None:
    """Understand the output of `probe_script`; None if its last line, or the number in there, is missing."""
    facts: dict[str, dict[str, str]] = {}
    for line in text.split("\n"):  # and at nothing else: guests' own text is in there
        subject, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        facts.setdefault(subject, {})[name] = value.strip()
    available = _kib(facts.get("host", {}).get("available", ""))
    if available is None:
        return None
    named = {GuestName.parse(subject): rest for subject, rest in facts.items()}
    return Probe(
        guests={name: _report(rest) for name, rest in named.items() if name is not None},
        driver={name: facts["driver"][name] for name in _DRIVER_REPORTS if name in facts.get("driver", {})},
        available_kib=available,
    )


def _report(facts: dict[str, str]) -> GuestReport:
    stats = _json_object(facts.get("stats", ""))
    if facts.get("pid", "").isdigit():
        state = GuestState.ENDING if "ending" in facts else GuestState.RUNNING
        resident = facts.get("resident", "")
        rss_kib = int(resident) * _PAGE_KIB if resident.isdigit() else None
        return GuestReport(state, "", int(facts["pid"]), rss_kib, stats)
    state, detail = read_exit(facts.get("exit"))
    for better in (GuestState.PANIC, GuestState.FAILED):
        if str(better) in facts:
            state, detail = better, facts[str(better)]
    return GuestReport(state, printable(detail), stats=stats)


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
