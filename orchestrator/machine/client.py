# SPDX-License-Identifier: Apache-2.0
"""The client's end of the control socket (control.py); synchronous."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import BootError

# How often a watch gives a sign of life when nothing changes, s.
WATCH_PERIOD = 0.5


def connect(path: Path, timeout: float) -> socket.socket | None:
    """A connection to a socket of the supervisor; None when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(max(timeout, 0.01))
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return connection


def ask(path: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """One request, one answer; raises BootError when it is refused, late (s), or nobody is there."""
    name = request.get("execute", request["do"])
    deadline = time.monotonic() + timeout
    connection = connect(path, timeout)
    if connection is None:
        raise BootError(f"{name}: the machine does not run", hint="`orch up` starts it")
    with connection, connection.makefile("rb") as answers:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            line = answers.readline()
        except TimeoutError:
            raise BootError(f"{name}: no answer within {timeout:.0f} s", hint="`orch status` shows more") from None
        except OSError:
            line = b""
    if not line:
        raise BootError(f"{name}: the machine ended meanwhile", hint="`orch logs` shows its last lines")
    answer: dict[str, Any] = json.loads(line)
    if not answer["ok"]:
        raise BootError(f"{name}: {answer['error']}", hint="`orch logs` shows the machine's own lines")
    return answer


def watch(path: Path, deadline: float) -> Iterator[dict[str, Any] | None]:
    """The record now and after each change, None when nothing changed for a while; ends with the supervisor.

    `deadline` is a time of time.monotonic(). Nothing at all comes when nobody listens.
    """
    connection = connect(path, deadline - time.monotonic())
    if connection is None:
        return
    pending = b""
    with connection:
        try:
            connection.sendall(b'{"do": "watch"}\n')
        except OSError:
            return
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(min(left, WATCH_PERIOD))
            try:
                data = connection.recv(65536)
            except TimeoutError:
                yield None
                continue
            except OSError:
                return
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            if lines:
                yield json.loads(lines[-1])
