# SPDX-License-Identifier: Apache-2.0
"""What the workers of a run do at this moment, in a small file that `orch status` reads."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.build.progress import Silent
from orchestrator.files import replace_file
from orchestrator.machine.process import ProcessId
from orchestrator.testbed.testbed import Testbed

if TYPE_CHECKING:
    from orchestrator.testbed.project import Project

BOARD = "workers.json"  # in the testbed's state folder
_PERIOD = 0.5  # s; a terminal is read by people


@dataclass
class Post:
    """One worker: the job that it does, how far that is, and where (its state folder, or the computer).

    `machine` is empty where the state folder tells.
    """

    worker: str
    job: str
    place: str
    doing: str = ""
    machine: str = ""
    since: float = field(default_factory=time.time)


@dataclass
class Board:
    """The client's side: one file for as long as it has workers."""

    path: Path
    run: str
    cluster: str = ""
    _written: float = 0.0
    _text: str = ""

    def show(self, posts: list[Post], *, at_once: bool = False) -> None:
        """Replace what is shown, at most twice a second unless it must be `at_once`."""
        if not at_once and time.monotonic() - self._written < _PERIOD:
            return
        me = ProcessId.of(os.getpid())
        client = None if me is None else {"pid": me.pid, "start": me.start}
        table = {
            "run": self.run,
            "cluster": self.cluster,
            "client": client,
            "workers": [asdict(each) for each in posts],
        }
        text = json.dumps(table, indent=1) + "\n"
        self._written = time.monotonic()
        if text != self._text:
            self.path.parent.mkdir(parents=True, exist_ok=True)  # a cluster's client may never have had a machine here
            replace_file(self.path, text)
            self._text = text

    def clear(self) -> None:
        """No worker is left."""
        self.path.unlink(missing_ok=True)


@dataclass
class Machine:
    """The machine of a worker, whose state folder is that of `project`."""

    project: Project

    @cached_property
    def _bed(self) -> Testbed:
        return Testbed(self.project, Silent())  # which reads all recipes: once is enough

    def line(self) -> str:
        """Its state, for people; raises UsageError for a platform that is not known here."""
        now = self._bed.instance.status()
        return f"{now.state} since {now.since}" if now.alive else str(now.state)


def workers_of(project: Project) -> list[dict[str, Any]]:
    """The workers of a run that goes on with this testbed: what each does, and how its machine is."""
    board = read_board(project.state_folder() / BOARD)
    if board is None:
        return []
    for each in board["workers"]:
        state = Path(each["place"])
        if not each["machine"] and state.is_absolute():  # of this computer, whose own word is newer
            each["machine"] = Machine(project.with_state(state)).line()
    return [{"run": board["run"], **each} for each in board["workers"]]


def read_board(path: Path) -> dict[str, Any] | None:
    """What a client shows that still lives; None if there is none."""
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        client = ProcessId(**table["client"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return table if client.alive() else None
