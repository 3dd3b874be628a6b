# SPDX-License-Identifier: Apache-2.0
"""events.jsonl: what happened, a JSON object a line, each on the disk before the next thing is done."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import UsageError

EVENTS = "events.jsonl"


class Event(BaseModel):
    """A line; kinds that are not known here (of another version) are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: str
    utc: str = ""


class StepDone(Event):
    """The last word on a step, whose rows are on the disk: bytes of the tables with them in `sizes`."""

    key: str
    status: str
    boot_id: int
    cell_id: str | None = None
    world: str | None = None
    note: str | None = None
    sizes: dict[str, int] | None = None
    cost: dict[str, Any] | None = None


class RowsWritten(Event):
    """Rows that belong to no step are on the disk; None: tables are being rewritten, and say nothing of sizes."""

    sizes: dict[str, int] | None = None


class BootBegun(Event):
    """A machine is about to be powered on."""

    boot: int = 0
    boot_id: int
    machine: str = ""


class Fingerprint(Event):
    """What a guest sees of machine and kernel, for the steps that are measured in it."""

    boot: int
    machine: str
    guest: str
    world: str
    steps: list[str]
    seen: dict[str, str]


class Warned(Event):
    """What makes a step's figures less than they look."""

    step: str
    text: str


class Part(Event):
    """A stretch of time that is not the orchestrator's own, s, and how it ended; more keys say what it was about."""

    seconds: float
    outcome: str = ""
    step: str | None = None
    attack: str | None = None
    world: str | None = None
    boot_id: int | None = None


class RunBegun(Event):
    """An invocation of `orch run` begins to write."""

    resume: bool = False


class RunEnded(Event):
    """An invocation is over: what it cost beside its boots, s."""

    status: str
    client: dict[str, float] | None = None
    cost: dict[str, Any] | None = None


class JobLost(Event):
    """A boot's worker was lost, or could not do it."""

    shard: str
    losses: int
    reason: str


# `measure` is what `count` was called in runs of before.
PARTS = ("boot", "down", "guest-start", "guest-stop", "deploy", "count", "measure", "attack")
_KINDS: dict[str, type[Event]] = {
    "step-done": StepDone,
    "rows": RowsWritten,
    "boot-begin": BootBegun,
    "fingerprint": Fingerprint,
    "warning": Warned,
    "run-begin": RunBegun,
    "run-end": RunEnded,
    "job-lost": JobLost,
    **dict.fromkeys(PARTS, Part),
}
Kind = TypeVar("Kind", bound=Event)


def utc_now() -> str:
    """This moment, ISO 8601 with a Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class EventLog:
    """One events.jsonl with one writer."""

    path: Path

    def add(self, event: str, **facts: Any) -> None:
        """Append one line, on the disk when this returns."""
        line = json.dumps({"event": event, "utc": utc_now(), **facts}) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def timed(self, part: str, **facts: Any) -> Iterator[None]:
        """Append a line about what the block did when it ends: seconds and outcome."""
        began, outcome = time.monotonic(), "error"
        try:
            yield
            outcome = "ok"
        finally:
            self.add(part, seconds=round(time.monotonic() - began, 3), outcome=outcome, **facts)

    def repair(self) -> None:
        """Cut off a last line that a kill left unfinished, or the next would join it."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(self.path, whole)

    def read(self) -> list[Event]:
        """All whole lines; raises UsageError for one that is no event."""
        return read_events(self.path)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The events of one kind, in order."""
        return [each for each in self.read() if isinstance(each, kind)]


def read_events(path: Path, *, lenient: bool = False) -> list[Event]:
    """The events of a file, none if it is missing; a torn last line is passed over.

    Raises UsageError with file and line for a whole line that is no event; `lenient` passes over those as well.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            found.append(parse_event(line))
        except ValueError as error:
            if not lenient:
                hint = "the file was changed by others"
                raise UsageError(f"{path}:{number}: no event: {_reason(error)}", hint=hint) from None
    return found


def parse_event(line: bytes) -> Event:
    """One line as an event of its kind; raises ValueError."""
    table = json.loads(line)
    if not isinstance(table, dict) or not isinstance(table.get("event"), str):
        raise ValueError("'event' is missing")  # noqa: TRY004 - it is the text that is wrong
    return _KINDS.get(table["event"], Event).model_validate(table)


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
