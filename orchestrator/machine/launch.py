# SPDX-License-Identifier: Apache-2.0
"""Start a supervisor that outlives the caller, and hear from it whether QEMU runs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import orchestrator
from orchestrator.errors import EnvError
from orchestrator.machine.failure import start_failed
from orchestrator.machine.paths import RunPaths

# Longest wait for a supervisor to report that QEMU runs, s.
START_TIMEOUT = 30.0


def launch(paths: RunPaths, held: int) -> subprocess.Popen[bytes]:
    """Start the supervisor of a run folder and return as soon as QEMU runs; raises EnvError with QEMU's own text.

    The supervisor inherits the lock `held`, so an interrupted caller leaves either a machine that can be adopted or,
    where the process did not come to life, nothing.
    """
    receive, send = os.pipe()
    try:
        try:
            child = _spawn(paths, held, send)
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


def _spawn(paths: RunPaths, held: int, send: int) -> subprocess.Popen[bytes]:
    module = "orchestrator.machine.supervisor"
    with paths.supervisor_log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, "--locked", f"--ready-fd={send}", str(paths.folder)],
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
