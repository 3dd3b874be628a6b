# SPDX-License-Identifier: Apache-2.0
"""Start a supervisor, and hear from it whether QEMU runs.

It outlives the caller unless it is tied to it. Then the kernel sends it SIGTERM when the caller ends, however that ends
(prctl(2), PR_SET_PDEATHSIG), and it ends QEMU in order. To the kernel "the caller" is the *thread* that made the child:
one that ends early would take the machine with it. Tied supervisors are therefore started from a thread that is kept
for as long as the process lives.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import orchestrator
from orchestrator.errors import EnvError
from orchestrator.machine.failure import start_failed
from orchestrator.machine.paths import RunPaths

# Longest wait for a supervisor to report that QEMU runs, s.
START_TIMEOUT = 30.0


class _Spawner:
    """The thread that starts tied supervisors; a forked process has none of its parent's threads and gets its own."""

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._thread = ThreadPoolExecutor(1, "orch-tied")

    def spawn(self, paths: RunPaths, held: int, send: int) -> subprocess.Popen[bytes]:
        """Start a supervisor tied to this process."""
        spawning = self._thread.submit(_spawn, paths, held, send, f"--tied-to={os.getpid()}")
        try:
            return spawning.result()
        finally:
            # An interrupted caller closes the descriptors: not before the child has them.
            wait([spawning])


_SPAWNER = _Spawner()


def launch(paths: RunPaths, held: int, *, tied: bool) -> subprocess.Popen[bytes]:
    """Start the supervisor of a run folder and return as soon as QEMU runs; raises EnvError with QEMU's own text.

    The supervisor inherits the lock `held`, so an interrupted caller leaves either a machine that can be adopted or,
    where the process did not come to life, nothing.
    """
    receive, send = os.pipe()
    try:
        try:
            child = (_SPAWNER.spawn if tied else _spawn)(paths, held, send)
        finally:
            os.close(send)
        report = _read_line(receive, START_TIMEOUT)
    finally:
        os.close(receive)
    if report is None or not report.endswith(b"\n"):
        raise EnvError(
            f"the machine's supervisor did not start: {_last_line(paths.supervisor_log)}",
            hint=f"its log: {paths.supervisor_log}",
        )
    error = json.loads(report)["error"]
    if error is not None:
        child.wait()
        raise start_failed(error, paths.qemu_log)
    return child


def _spawn(paths: RunPaths, held: int, send: int, *more: str) -> subprocess.Popen[bytes]:
    module = "orchestrator.machine.supervisor"
    with paths.supervisor_log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, "--locked", f"--ready-fd={send}", *more, str(paths.folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**os.environ, "PYTHONPATH": _package_path()},
            pass_fds=(held, send),
            # Ctrl-C on the terminal is for orch, not for the machine.
            start_new_session=True,
        )


def _package_path() -> str:
    """PYTHONPATH for the supervisor, whose working folder is not ours: where this very package lies comes first."""
    here = str(Path(orchestrator.__path__[0]).parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


def _read_line(descriptor: int, timeout: float) -> bytes | None:
    """Read up to the end of a line or of the stream; None when the time ran out."""
    deadline = time.monotonic() + timeout
    data = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not data.endswith(b"\n"):
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            return None
        part = os.read(descriptor, 4096)
        if not part:
            break
        data += part
    return data


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it gave no reason"
