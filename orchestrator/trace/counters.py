# SPDX-License-Identifier: Apache-2.0
"""Client of the counter plugin, and what is computed from its answers.

Every count is in executed guest instructions, every move in changes of world, every exit in times that a guest was
left; what exactly that means, and the protocol, is in docs/counting.md.
"""

from __future__ import annotations

import enum
import json
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import OrchError

MARKER_ABI = 1
"""The marker ABI of guest/abi/orch_marker.h that this module understands."""


class SecurityState(enum.StrEnum):
    """A security state of the processor, in the order of the plugin's arrays."""

    NON_SECURE = "non_secure"
    REALM = "realm"
    ROOT = "root"
    SECURE = "secure"


class Level(enum.StrEnum):
    """A column of a world's counters; the five are disjoint. EL0 of a VHE host is HOST_EL0, of a guest EL0."""

    EL0 = "el0"
    EL1 = "el1"
    EL2 = "el2"
    EL3 = "el3"
    HOST_EL0 = "host_el0"

    @property
    def el(self) -> int:
        """The exception level, 0 to 3."""
        return 0 if self is Level.HOST_EL0 else int(self.value[2])


SECURITY_STATES = tuple(SecurityState)
LEVELS = tuple(Level)

Matrix = tuple[tuple[int, ...], ...]

T = TypeVar("T")


@dataclass(frozen=True)
class Tally:
    """Counts, moves and exits at one moment, or between two.

    `counts[vcpu][world][level]` are instructions, `moves[vcpu][from][to]` changes of world, `left[vcpu][world]` exits
    of that world's guests; the worlds and levels are in the order of `SECURITY_STATES` and `LEVELS`.
    """

    counts: tuple[Matrix, ...]
    moves: tuple[Matrix, ...]
    left: Matrix

    def __sub__(self, earlier: Tally) -> Tally:
        """What was counted since `earlier`."""
        return Tally(
            tuple(_minus(later, before) for later, before in zip(self.counts, earlier.counts, strict=True)),
            tuple(_minus(later, before) for later, before in zip(self.moves, earlier.moves, strict=True)),
            _minus(self.left, earlier.left),
        )

    def of_vcpu(self, vcpu: int) -> Tally:
        """The part of one vCPU, as a tally of a machine that has only this one."""
        return Tally((self.counts[vcpu],), (self.moves[vcpu],), (self.left[vcpu],))

    @property
    def total(self) -> int:
        """Instructions of all vCPUs, worlds and levels."""
        return sum(self.by_state().values())

    def by_level(self) -> dict[tuple[SecurityState, Level], int]:
        """Instructions per world and level, over all vCPUs."""
        return {
            (world, level): sum(cpu[w][n] for cpu in self.counts)
            for w, world in enumerate(SECURITY_STATES)
            for n, level in enumerate(LEVELS)
        }

    def by_el(self) -> dict[tuple[SecurityState, int], int]:
        """Instructions per world and exception level 0 to 3, over all vCPUs; both kinds of EL0 are EL 0."""
        totals = {(world, el): 0 for world in SECURITY_STATES for el in range(4)}
        for (world, level), count in self.by_level().items():
            totals[world, level.el] += count
        return totals

    def by_state(self) -> dict[SecurityState, int]:
        """Instructions per world, over all vCPUs."""
        totals = dict.fromkeys(SECURITY_STATES, 0)
        for (world, _), count in self.by_level().items():
            totals[world] += count
        return totals

    def entries(self) -> dict[SecurityState, int]:
        """How often each world was entered from another one, over all vCPUs."""
        return {world: sum(row[w] for cpu in self.moves for row in cpu) for w, world in enumerate(SECURITY_STATES)}

    def exits(self) -> dict[SecurityState, int]:
        """How often each world was left for another one, over all vCPUs."""
        return {world: sum(sum(cpu[w]) for cpu in self.moves) for w, world in enumerate(SECURITY_STATES)}

    def guest_exits(self) -> dict[SecurityState, int]:
        """How often a guest of each world (EL0, EL1) was left for EL2 or EL3, over all vCPUs."""
        return {world: sum(cpu[w] for cpu in self.left) for w, world in enumerate(SECURITY_STATES)}


@dataclass(frozen=True)
class Info:
    """What the plugin says about itself."""

    version: str
    mode: str
    arch: str
    smp: int
    marker_abi: int
    marker_opcode: int
    marker_mask: int
    api_built: int
    api_min: int
    api_current: int


@dataclass(frozen=True)
class Counters:
    """All counters since the machine was started.

    `stale` (per vCPU), `dropped` and `mismatches` must be 0: see `check`. `reference` and `mismatches` exist only in
    the plugin's mode `both`.
    """

    tally: Tally
    stale: tuple[int, ...]
    markers: int
    dropped: int
    mismatches: int | None = None
    reference: Tally | None = None

    def check(self) -> None:
        """Raise OrchError if the plugin knows that its counts or its log are not the whole truth."""
        if any(self.stale):
            raise OrchError(f"instructions were counted for the wrong world: {sum(self.stale)} stale blocks")
        if self.dropped:
            raise OrchError(f"{self.dropped} markers were lost", hint="the plugin's log is full: mark fewer events")
        if self.mismatches:
            raise OrchError(f"fast and reference counts differed at {self.mismatches} markers")


@dataclass(frozen=True)
class MarkerRecord:
    """One executed marker; `tally` holds all counters just before it (the marker itself is not in it)."""

    seq: int
    event: int
    id: int
    end: bool
    vcpu: int
    state: SecurityState
    level: Level
    tally: Tally


@dataclass(frozen=True)
class MarkerPair:
    """A begin marker and its end."""

    begin: MarkerRecord
    end: MarkerRecord

    @property
    def delta(self) -> Tally:
        """What was counted between the two, the begin marker included, the end marker not."""
        return self.end.tally - self.begin.tally


@dataclass(frozen=True)
class Report:
    """The file that the plugin leaves at exit: everything it could be asked for while it ran."""

    info: Info
    counters: Counters
    markers: tuple[MarkerRecord, ...]


def pair_markers(records: Iterable[MarkerRecord]) -> tuple[MarkerPair, ...]:
    """Match begin and end markers by (event, id), in the order of their begins.

    Raises OrchError for an end without a begin, a begin without an end, or an (event, id) that is used again.
    """
    begins: dict[tuple[int, int], MarkerRecord] = {}
    pairs: dict[tuple[int, int], MarkerPair] = {}
    for record in sorted(records, key=lambda r: r.seq):
        key = (record.event, record.id)
        if key in pairs or (not record.end and key in begins):
            raise _marker_error(record, "is used a second time", "ids must be unique for an event within a run")
        if not record.end:
            begins[key] = record
        elif key in begins:
            pairs[key] = MarkerPair(begins[key], record)
        else:
            raise _marker_error(record, "ends but never began", "read the markers from an earlier number on")
    for key, record in begins.items():
        if key not in pairs:
            raise _marker_error(record, "began but never ended", "did the program between the markers fail?")
    return tuple(sorted(pairs.values(), key=lambda pair: pair.begin.seq))


def calibrate(pairs: Iterable[MarkerPair]) -> dict[SecurityState, int]:
    """Median cost of empty pairs per world, in instructions: what marking adds to every measured pair.

    Only the vCPU that executed both markers counts, so that the others' background work is not taken for a cost; pairs
    that migrated are left out. The median is one of the values seen (the lower of two).
    """
    costs = [p.delta.of_vcpu(p.begin.vcpu).by_state() for p in pairs if p.begin.vcpu == p.end.vcpu]
    if not costs:
        raise OrchError("no empty marker pairs to calibrate with", hint="run `marker pair 0 ID` a few times")
    return {world: statistics.median_low(cost[world] for cost in costs) for world in SECURITY_STATES}


class CounterClient:
    """Synchronous client of the plugin's UNIX socket; one connection per request.

    `timeout` is in seconds and covers one request. All methods raise OrchError if there is no answer, or a wrong one.
    """

    def __init__(self, path: Path | str, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout

    def info(self) -> Info:
        """Ask what is counting, and check that it speaks our marker ABI and array order."""
        return self._parsed("info", parse_info)

    def counters(self) -> Counters:
        """Read all counters now; the machine goes on meanwhile, so no two values are of quite the same moment."""
        return self._parsed("counters", parse_counters)

    def markers(self, since: int = 0) -> tuple[MarkerRecord, ...]:
        """Read all marker records from number `since` on (the first has number 0)."""
        records: list[MarkerRecord] = []
        while True:
            page, after, total = self._parsed(f"markers {since}", _parse_page)
            records += page
            if after >= total or after <= since:
                return tuple(records)
            since = after

    def _parsed(self, request: str, parse: Callable[[Mapping[str, Any]], T]) -> T:
        return parse(self._ask(request))

    def _ask(self, request: str) -> Mapping[str, Any]:
        try:
            line = self._exchange(request)
        except OSError as error:
            raise OrchError(
                f"no answer from the instruction counter at {self._path}: {error}",
                hint="is the machine running, and with the counter plugin?",
            ) from error
        reply = _load_json(line, f"the instruction counter answered {request!r} with")
        if "error" in reply:
            raise OrchError(f"the instruction counter refuses {request!r}: {reply['error']}")
        return reply

    def _exchange(self, request: str) -> bytes:
        deadline = time.monotonic() + self._timeout
        chunks: list[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout)
            connection.connect(str(self._path))
            connection.sendall(request.encode("ascii") + b"\n")
            while not (chunks and chunks[-1].endswith(b"\n")):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"nothing complete within {self._timeout:g} s")
                connection.settimeout(left)
                chunk = connection.recv(1 << 16)
                if not chunk:
                    raise ConnectionError("it closed the connection in mid-answer")
                chunks.append(chunk)
        return b"".join(chunks)


def read_report(path: Path) -> Report:
    """Read the plugin's report file; raises OrchError if it is missing or not what the plugin writes."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise OrchError(f"no counter report: {error}", hint="did QEMU end by itself?") from error
    data = _load_json(text, f"{path} is")
    log, counters = _get(data, "log", dict), _get(data, "counters", dict)
    if "error" in counters:
        raise OrchError(f"{path} has no counters: {counters['error']}")
    return Report(parse_info(_get(data, "info", dict)), parse_counters(counters), tuple(_parse_page(log)[0]))


def parse_info(data: Mapping[str, Any]) -> Info:
    """Turn the reply to `info` into an Info; raises OrchError if it is of another kind of plugin."""
    if data.get("worlds") != list(SECURITY_STATES) or data.get("levels") != list(LEVELS):
        raise OrchError("the counter plugin counts other worlds or levels than this orch knows", hint="rebuild it")
    marker, api = _get(data, "marker", dict), _get(data, "qemu_api", dict)
    info = Info(
        version=_get(data, "version", str),
        mode=_get(data, "mode", str),
        arch=_get(data, "arch", str),
        smp=_get(data, "smp", int),
        marker_abi=_get(marker, "abi", int),
        marker_opcode=_get(marker, "opcode", int),
        marker_mask=_get(marker, "mask", int),
        api_built=_get(api, "built", int),
        api_min=_get(api, "min", int),
        api_current=_get(api, "current", int),
    )
    if info.marker_abi != MARKER_ABI:
        raise OrchError(f"the counter plugin has marker ABI {info.marker_abi}, not {MARKER_ABI}", hint="rebuild it")
    return info


def parse_counters(data: Mapping[str, Any]) -> Counters:
    """Turn the reply to `counters` into Counters; raises OrchError if it has another shape."""
    reference = data.get("reference")
    return Counters(
        tally=_tally(data),
        stale=_integers(_get(data, "stale", list)),
        markers=_get(data, "markers", int),
        dropped=_get(data, "dropped", int),
        mismatches=_get(data, "mismatches", int) if "mismatches" in data else None,
        reference=None if reference is None else _tally(reference),
    )


def _parse_page(data: Mapping[str, Any]) -> tuple[list[MarkerRecord], int, int]:
    """One reply to `markers`: its records, the number to go on from, and how many there are in all."""
    records = [_record(item) for item in _get(data, "markers", list)]
    return records, _get(data, "next", int), _get(data, "total", int)


def _record(data: Mapping[str, Any]) -> MarkerRecord:
    try:
        state, level = SecurityState(_get(data, "world", str)), Level(_get(data, "level", str))
    except ValueError as error:
        raise OrchError(f"the counter plugin sent an odd marker: {error}") from error
    return MarkerRecord(
        seq=_get(data, "seq", int),
        event=_get(data, "event", int),
        id=_get(data, "id", int),
        end=_get(data, "end", bool),
        vcpu=_get(data, "vcpu", int),
        state=state,
        level=level,
        tally=_tally(data),
    )


def _tally(data: Mapping[str, Any]) -> Tally:
    counts = _matrices(_get(data, "counts", list), len(LEVELS))
    moves = _matrices(_get(data, "moves", list), len(SECURITY_STATES))
    left = tuple(_integers(cpu) for cpu in _get(data, "exits", list))
    if any(len(cpu) != len(SECURITY_STATES) for cpu in left):
        raise OrchError(f"the counter plugin sent exits that are not of {len(SECURITY_STATES)} worlds")
    if not len(counts) == len(moves) == len(left):
        raise OrchError("the counter plugin sent counts, moves and exits of different numbers of vCPUs")
    return Tally(counts, moves, left)


def _matrices(value: Sequence[Any], columns: int) -> tuple[Matrix, ...]:
    matrices = tuple(tuple(_integers(row) for row in _listed(cpu)) for cpu in value)
    if any(len(cpu) != len(SECURITY_STATES) or any(len(row) != columns for row in cpu) for cpu in matrices):
        raise OrchError(f"the counter plugin sent arrays that are not {len(SECURITY_STATES)} x {columns}")
    return matrices


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise OrchError(f"the counter plugin sent {value!r} for an array")
    return value


def _integers(value: object) -> tuple[int, ...]:
    items = _listed(value)
    if not all(type(item) is int for item in items):
        raise OrchError("the counter plugin sent an array that is not of integers")
    return tuple(items)


def _get(data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = data.get(key)
    if type(value) is not kind:
        raise OrchError(f"the counter plugin sent {key!r} as {value!r}, not as {kind.__name__}")
    return value


def _load_json(text: bytes, what: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise OrchError(f"{what} something that is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise OrchError(f"{what} something that is not a JSON object")
    return data


def _minus(later: Matrix, earlier: Matrix) -> Matrix:
    return tuple(
        tuple(a - b for a, b in zip(row, before, strict=True)) for row, before in zip(later, earlier, strict=True)
    )


def _marker_error(record: MarkerRecord, what: str, hint: str) -> OrchError:
    return OrchError(f"marker event {record.event:#x} id {record.id} (number {record.seq}) {what}", hint=hint)
