# SPDX-License-Identifier: Apache-2.0
"""Client of the counter plugin: a Counter that asks QEMU's plugin over its socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import OrchError
from orchestrator.trace.counter import Counters
from orchestrator.trace.markers import MarkerRecord
from orchestrator.trace.parsing import PluginInfo, load_object, parse_counters, parse_info, parse_page

T = TypeVar("T")
# images/qemu/plugin: what the log may take, a record without its tally, and a tally of one vCPU; bytes.
LOG_BYTES, RECORD_BYTES, TALLY_BYTES = 256 << 20, 32, 320


def marker_limit(cpus: int) -> int:
    """How many markers the plugin holds of a machine with so many CPUs; what comes later is lost, and told."""
    return LOG_BYTES // (RECORD_BYTES + cpus * TALLY_BYTES)


class CounterClient:
    """Synchronous client of the plugin's UNIX socket; one connection per request.

    `timeout` is in seconds and covers one request. All methods raise OrchError if there is no answer, or a wrong one.
    """

    def __init__(self, path: Path | str, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout

    def info(self) -> PluginInfo:
        """Ask what is counting, and check that it speaks our marker ABI and array order."""
        return self._parsed("info", parse_info)

    def counters(self) -> Counters:
        """Read all counters now; the machine goes on meanwhile, so no two values are of quite the same moment."""
        return self._parsed("counters", parse_counters)

    def markers(self, since: int = 0) -> tuple[MarkerRecord, ...]:
        """Read all marker records from number `since` on (the first has number 0)."""
        records: list[MarkerRecord] = []
        while True:
            page, after, total = self._parsed(f"markers {since}", parse_page)
            records += page
            if after >= total or after <= since:
                return tuple(records)
            since = after

    def check(self) -> None:
        """Raise OrchError if the plugin knows that it counted wrongly or lost markers."""
        self.counters().check()

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
        reply = load_object(line, f"the instruction counter answered {request!r} with")
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
