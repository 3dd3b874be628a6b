# SPDX-License-Identifier: Apache-2.0
"""From what the counter plugin says (docs/counting.md) to counts and markers; pure but for reading its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import OrchError
from orchestrator.trace.counter import Counters, Info
from orchestrator.trace.markers import MarkerRecord
from orchestrator.trace.tally import LEVELS, SECURITY_STATES, Level, Matrix, SecurityState, Tally

MARKER_ABI = 1
"""The marker ABI of guest/abi/orch_marker.h that this module understands."""

T = TypeVar("T")


@dataclass(frozen=True)
class PluginInfo(Info):
    """What the plugin says about itself: beside a counter's facts, its marker instruction and QEMU's plugin API."""

    marker_opcode: int
    marker_mask: int
    api_built: int
    api_min: int
    api_current: int


@dataclass(frozen=True)
class Report:
    """The file that the plugin leaves at exit: everything it could be asked for while it ran."""

    info: PluginInfo
    counters: Counters
    markers: tuple[MarkerRecord, ...]


def read_report(path: Path) -> Report:
    """Read the plugin's report file; raises OrchError if it is missing or not what the plugin writes."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise OrchError(f"no counter report: {error}", hint="did QEMU end by itself?") from error
    data = load_object(text, f"{path} is")
    log, counters = _get(data, "log", dict), _get(data, "counters", dict)
    if "error" in counters:
        raise OrchError(f"{path} has no counters: {counters['error']}")
    return Report(parse_info(_get(data, "info", dict)), parse_counters(counters), tuple(parse_page(log)[0]))


def parse_info(data: Mapping[str, Any]) -> PluginInfo:
    """Turn the reply to `info` into facts; raises OrchError if it is of another kind of plugin."""
    if data.get("worlds") != list(SECURITY_STATES) or data.get("levels") != list(LEVELS):
        raise OrchError("the counter plugin counts other worlds or levels than this orch knows", hint="rebuild it")
    marker, api = _get(data, "marker", dict), _get(data, "qemu_api", dict)
    info = PluginInfo(
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


def parse_page(data: Mapping[str, Any]) -> tuple[list[MarkerRecord], int, int]:
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


def load_object(text: bytes, what: str) -> Mapping[str, Any]:
    """A JSON object; raises OrchError that begins with `what` for anything else."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise OrchError(f"{what} something that is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise OrchError(f"{what} something that is not a JSON object")
    return data
