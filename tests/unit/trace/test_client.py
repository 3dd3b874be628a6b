# SPDX-License-Identifier: Apache-2.0
"""The counter client against a server that is a small fake."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counter_answers import INFO, counters_reply, marker_reply

from orchestrator.errors import OrchError
from orchestrator.trace.client import CounterClient
from orchestrator.trace.tally import Level
from orchestrator.trace.tally import SecurityState as S


class FakePlugin:
    """A socket server that answers each request line with what `answer` returns; empty bytes = just hang up."""

    def __init__(self, path: Path, answer: Callable[[str], bytes]) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    self.requests.append(line.decode().strip())
                    reply = self._answer(self.requests[-1])
                    if not reply:
                        break
                    connection.sendall(reply)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=5)


Serve = Callable[[Callable[[str], bytes]], tuple[FakePlugin, CounterClient]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[FakePlugin] = []

    def start(answer: Callable[[str], bytes]) -> tuple[FakePlugin, CounterClient]:
        path = tmp_path / "c.sock"
        started.append(FakePlugin(path, answer))
        return started[-1], CounterClient(path, timeout=5)

    yield start
    for plugin in started:
        plugin.close()


def line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


class TestClient:
    def test_info(self, serve: Serve) -> None:
        _, client = serve(lambda _: line(INFO))
        info = client.info()
        assert (info.mode, info.smp, info.marker_abi, info.api_current) == ("fast", 1, 1, 4)

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"worlds": ["realm"]}, "other worlds"), ({"marker": INFO["marker"] | {"abi": 2}}, "marker ABI 2")],
    )
    def test_info_of_another_plugin(self, serve: Serve, change: dict[str, Any], message: str) -> None:
        _, client = serve(lambda _: line(INFO | change))
        with pytest.raises(OrchError, match=message):
            client.info()

    def test_counters(self, serve: Serve) -> None:
        plugin, client = serve(lambda _: line(counters_reply()))
        counted = client.counters().tally
        assert counted.by_el()[S.REALM, 1] == 42
        assert counted.guest_exits()[S.REALM] == 9
        assert plugin.requests == ["counters"]

    def test_markers_are_read_page_by_page(self, serve: Serve) -> None:
        def answer(request: str) -> bytes:
            since = int(request.removeprefix("markers "))
            page = [marker_reply(seq) for seq in range(since, min(since + 2, 5))]
            return line({"next": since + len(page), "total": 5, "dropped": 0, "markers": page})

        plugin, client = serve(answer)
        records = client.markers(1)
        assert [r.seq for r in records] == [1, 2, 3, 4]
        assert (records[0].end, records[0].state, records[0].level) == (True, S.REALM, Level.EL1)
        assert plugin.requests == ["markers 1", "markers 3"]

    def test_markers_beyond_the_last_are_none(self, serve: Serve) -> None:
        _, client = serve(lambda _: line({"next": 5, "total": 5, "dropped": 0, "markers": []}))
        assert client.markers(9) == ()

    @pytest.mark.parametrize(
        ("reply", "message"),
        [
            (line({"error": "the vCPUs have not started yet"}), "refuses 'counters': the vCPUs have not started"),
            (b"hello\n", "not JSON"),
            (b"[]\n", "not a JSON object"),
            (b"", "closed the connection"),
        ],
    )
    def test_bad_answers(self, serve: Serve, reply: bytes, message: str) -> None:
        _, client = serve(lambda _: reply)
        with pytest.raises(OrchError, match=message):
            client.counters()

    def test_an_answer_in_pieces_that_never_ends_times_out(self, serve: Serve, tmp_path: Path) -> None:
        serve(lambda _: b'{"counts":')
        with pytest.raises(OrchError, match="no answer"):
            CounterClient(tmp_path / "c.sock", timeout=0.1).counters()

    def test_nobody_there(self, tmp_path: Path) -> None:
        with pytest.raises(OrchError, match="no answer") as caught:
            CounterClient(tmp_path / "none.sock").info()
        assert caught.value.hint
