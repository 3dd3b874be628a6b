# SPDX-License-Identifier: Apache-2.0
"""A worker process: `python -m orchestrator.experiment.worker PARENT CORES`; one job from stdin, messages to stdout.

It dies with the process that started it, by the kernel's word, and its machine with it.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
from typing import TYPE_CHECKING, Any, TextIO

from orchestrator import extensions
from orchestrator.errors import EnvError, UsageError
from orchestrator.experiment.cluster.parcel import Arrived
from orchestrator.experiment.execute import execute
from orchestrator.experiment.relay import Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.experiment.job import BootJob, Place

_PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Have this process killed when `parent` ends; it ends at once if that has happened already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _messages() -> TextIO:
    """What was stdout, for messages alone: whatever else prints, as an extension may, goes to the log on stderr."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Do the job; exit code 0 if it is done, 2 if it was refused."""
    parent, cores = int(arguments[0]), [int(core) for core in arguments[1].split(",") if core]
    tie(parent)
    signal.signal(signal.SIGTERM, _interrupted)
    if cores:
        os.sched_setaffinity(0, cores)
    sender = Sender(_messages())
    extensions.load()
    # What the client wrote into this pipe a moment ago: the same program of the same user.
    job, place = _job()
    try:
        execute(job, place, sender)
    except (UsageError, EnvError) as error:
        sender.send(refused=type(error).__name__, message=error.message, hint=error.hint)
        return 2
    except KeyboardInterrupt:
        return 130
    sender.send(done=True)
    return 0


def _job() -> tuple[BootJob, Place]:
    loaded: Any = pickle.load(sys.stdin.buffer)  # noqa: S301 - of our own client
    work, place = loaded
    return (work.job() if isinstance(work, Arrived) else work), place


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
