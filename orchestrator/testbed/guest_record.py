# SPDX-License-Identifier: Apache-2.0
"""What is known of guests between two commands: a record, their events, and the consoles of those that are gone."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.build.cache import make_folder
from orchestrator.files import replace_file
from orchestrator.machine.stamping import printable, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.build.progress import Progress
    from orchestrator.testbed.guest import GuestName


@dataclass(frozen=True)
class GuestRecord:
    """The files about guests under `folder`, in the testbed's state."""

    folder: Path
    progress: Progress

    # --- facts: {"runs": starts so far, "files": digest by path in the host, "guests": facts by name} ---------------

    def load(self) -> dict[str, Any]:
        """The record, empty if there is none that makes sense."""
        try:
            record: dict[str, Any] = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            record = {}
        return {"runs": 0, "files": {}, "guests": {}} | record

    def save(self, record: dict[str, Any]) -> None:
        """Replace the record."""
        make_folder(self.folder)
        replace_file(self.folder / "record.json", json.dumps(record, indent=1) + "\n")

    def guest(self, name: GuestName) -> dict[str, Any]:
        """What is known of one guest; nothing if this host has never had it."""
        facts: dict[str, Any] = self.load()["guests"].get(str(name), {})
        return facts

    def note(self, name: GuestName, **facts: Any) -> None:
        """Add facts about a guest."""
        record = self.load()
        record["guests"].setdefault(str(name), {}).update(facts)
        self.save(record)

    # --- events and consoles ----------------------------------------------------------------------------------------

    def event(self, name: GuestName, what: str, **facts: Any) -> None:
        """Append to events.jsonl."""
        make_folder(self.folder)
        line = json.dumps({"time": stamp(time.time()), "guest": str(name), "event": what, **facts})
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    @contextmanager
    def stage(self, name: GuestName, what: str, estimate: float) -> Iterator[None]:
        """A step of a guest's life: shown to the user, and an event with its duration."""
        started = time.monotonic()
        with self.progress.stage(f"{name} {what}", estimate=estimate):
            yield
        self.event(name, what, seconds=round(time.monotonic() - started, 3))

    def console_log(self, name: GuestName) -> Path:
        """Where a guest's console is kept when the host's memory goes."""
        return self.folder / f"{name}.console.log"

    def console_lines(self, name: GuestName) -> list[str]:
        """What the guest's console showed, as far as it was fetched, without terminal sequences."""
        path = self.console_log(name)
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        return [printable(line) for line in text.splitlines()]
