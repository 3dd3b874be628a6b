# SPDX-License-Identifier: Apache-2.0
"""The one place where orch starts a program and waits for it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from orchestrator.errors import BuildError, EnvError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 40
_CANCEL_POLL = 0.2  # s


class CommandError(BuildError):
    """A program ended with a failure; `returncode` is negative for a signal, as in subprocess."""

    def __init__(self, message: str, *, returncode: int, output: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.returncode = returncode
        self.output = output


@dataclass(frozen=True)
class Completed:
    """What a successful program printed (empty where it went to a log)."""

    stdout: str
    stderr: str


def shown(argv: Sequence[str | Path]) -> str:
    """The command as a line that can be pasted into a shell."""
    return shlex.join(str(part) for part in argv)


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    timeout: float | None = None,
    stdin: str | None = None,
    cancel: threading.Event | None = None,
    umask: int = -1,
) -> Completed:
    """Run `argv` to its end in a process group of its own; `timeout` in seconds, `umask` -1 is the one that we have.

    With `log`, stdout and stderr are appended there. Setting `cancel` from another thread ends the program. Raises
    EnvError if the program is missing, CommandError if it fails, times out or is killed by a signal. The whole group is
    ended if we are interrupted.
    """
    with ExitStack() as stack:
        sink: int | IO[bytes] = stack.enter_context(log.open("ab")) if log else subprocess.PIPE
        try:
            process = subprocess.Popen(
                [str(part) for part in argv],
                cwd=cwd,
                env=dict(env) if env is not None else None,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                start_new_session=True,
                umask=umask,
            )
        except FileNotFoundError:
            raise EnvError(f"program not found: {argv[0]}", hint="`orch doctor` lists what is missing") from None
        try:
            data = stdin.encode() if stdin is not None else None
            out, err = _communicate(process, data, timeout, cancel)
        except subprocess.TimeoutExpired:
            _end_group(process)
            raise CommandError(f"timed out after {timeout:g} s: {shown(argv)}", returncode=-9, output="") from None
        except BaseException:
            _end_group(process)
            raise
    stdout, stderr = (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")
    if process.returncode != 0:
        raise _failure(argv, process.returncode, _tail(log) if log else (stderr or stdout), log)
    return Completed(stdout, stderr)


def _communicate(
    process: subprocess.Popen[bytes], data: bytes | None, timeout: float | None, cancel: threading.Event | None
) -> tuple[bytes, bytes]:
    """Like Popen.communicate, but looks at `cancel` several times a second."""
    if cancel is None:
        return process.communicate(data, timeout)
    deadline = time.monotonic() + timeout if timeout is not None else None
    while True:
        try:
            return process.communicate(data, _CANCEL_POLL)
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                raise
            if cancel.is_set():
                _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and all it started, politely first; reap it."""
    for how, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _failure(argv: Sequence[str | Path], returncode: int, output: str, log: Path | None) -> CommandError:
    name = str(argv[0])
    if returncode < 0:
        what = f"{name} was killed by {signal.Signals(-returncode).name}"
    else:
        what = f"{name} failed with exit code {returncode}"
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    message = f"{what}: {last}" if last else what
    hint = f"log: {log}" if log else f"command: {shown(argv)}"
    return CommandError(message, returncode=returncode, output=output, hint=hint)


def _tail(log: Path) -> str:
    """The last lines of a log file."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])
