# SPDX-License-Identifier: Apache-2.0
"""The counter client and what is computed from its answers; the plugin's side is a small fake."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import OrchError
from orchestrator.trace.client import CounterClient
from orchestrator.trace.markers import MarkerPair, MarkerRecord, calibrate, pair_markers
from orchestrator.trace.parsing import parse_counters, read_report
from orchestrator.trace.tally import LEVELS, SECURITY_STATES, Level, Tally
from orchestrator.trace.tally import SecurityState as S
from orchestrator.words import PHASES, Mark

INFO: dict[str, Any] = {
    "version": "1.1",
    "mode": "fast",
    "arch": "aarch64",
    "smp": 1,
    "marker": {"abi": 1, "opcode": 0xD280001F, "mask": 0xFFE0001F},
    "qemu_api": {"built": 4, "min": 2, "current": 4},
    "worlds": ["non_secure", "realm", "root", "secure"],
    "levels": ["el0", "el1", "el2", "el3", "host_el0"],
}


def zeros(columns: int) -> list[list[int]]:
    return [[0] * columns for _ in SECURITY_STATES]


def tally(vcpus: int = 1, **insns: int) -> Tally:
    """A tally with `non_secure_el2=5` and the like counted on vCPU 0."""
    counts = [zeros(len(LEVELS)) for _ in range(vcpus)]
    for name, value in insns.items():
        world = next(w for w in SECURITY_STATES if name.startswith(w))
        counts[0][SECURITY_STATES.index(world)][LEVELS.index(Level(name.removeprefix(f"{world}_")))] = value
    moves = [zeros(len(SECURITY_STATES)) for _ in range(vcpus)]
    return Tally(
        tuple(tuple(tuple(row) for row in cpu) for cpu in counts),
        tuple(tuple(tuple(row) for row in cpu) for cpu in moves),
        ((0,) * len(SECURITY_STATES),) * vcpus,
    )


def record(
    seq: int, event: int, ident: int, *, end: bool = False, at: Tally | None = None, vcpu: int = 0
) -> MarkerRecord:
    return MarkerRecord(seq, event, ident, end, vcpu, S.NON_SECURE, Level.HOST_EL0, at or tally())


class TestTally:
    def test_totals_merge_the_two_kinds_of_el0(self) -> None:
        t = tally(non_secure_el0=1, non_secure_host_el0=10, non_secure_el2=100, realm_el2=1000)
        assert t.total == 1111
        assert t.by_state() == {
            S.NON_SECURE: 111,
            S.REALM: 1000,
            S.ROOT: 0,
            S.SECURE: 0,
        }
        assert t.by_el()[S.NON_SECURE, 0] == 11
        assert t.by_level()[S.NON_SECURE, Level.HOST_EL0] == 10
        assert t.by_el()[S.REALM, 2] == 1000

    def test_entries_and_exits_are_the_sums_of_moves(self) -> None:
        moves = ((0, 0, 3, 0), (0, 0, 2, 0), (3, 1, 0, 0), (0, 0, 0, 0))
        t = Tally((), (moves, moves), ())
        assert t.entries() == {
            S.NON_SECURE: 6,
            S.REALM: 2,
            S.ROOT: 10,
            S.SECURE: 0,
        }
        assert t.exits() == {
            S.NON_SECURE: 6,
            S.REALM: 4,
            S.ROOT: 8,
            S.SECURE: 0,
        }

    def test_guest_exits_are_those_of_all_vcpus(self) -> None:
        t = Tally(tally(vcpus=2).counts, tally(vcpus=2).moves, ((5, 2, 0, 0), (1, 0, 0, 0)))
        assert t.guest_exits() == {
            S.NON_SECURE: 6,
            S.REALM: 2,
            S.ROOT: 0,
            S.SECURE: 0,
        }
        assert t.of_vcpu(1).guest_exits()[S.NON_SECURE] == 1
        earlier = dataclasses.replace(t, left=((4, 0, 0, 0), (1, 0, 0, 0)))
        assert (t - earlier).left == ((1, 2, 0, 0), (0, 0, 0, 0))

    def test_difference(self) -> None:
        assert (tally(realm_el1=7) - tally(realm_el1=5)).by_state()[S.REALM] == 2

    def test_difference_of_machines_with_other_vcpus_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            tally(vcpus=2) - tally(vcpus=1)


class TestPairs:
    def test_nested_and_interleaved_pairs(self) -> None:
        records = [
            record(0, 2, 1, at=tally(realm_el0=100)),
            record(1, 7, 1, at=tally(realm_el0=110)),
            record(2, 7, 2, at=tally(realm_el0=120)),
            record(3, 7, 1, end=True, at=tally(realm_el0=130)),
            record(4, 7, 2, end=True, at=tally(realm_el0=150)),
            record(5, 2, 1, end=True, at=tally(realm_el0=200)),
        ]
        pairs = pair_markers(reversed(records))
        assert [(p.begin.event, p.begin.id, p.delta.total) for p in pairs] == [(2, 1, 100), (7, 1, 20), (7, 2, 30)]

    def test_no_records(self) -> None:
        assert pair_markers([]) == ()

    @pytest.mark.parametrize(
        ("records", "message"),
        [
            ([record(0, 7, 1)], "event 0x7 id 1 .*never ended"),
            ([record(0, 7, 1, end=True)], "never began"),
            ([record(0, 7, 1), record(1, 7, 1)], "second time"),
            ([record(0, 7, 1), record(1, 7, 1, end=True), record(2, 7, 1)], "number 2.*second time"),
            ([record(0, 7, 1), record(1, 7, 1, end=True), record(2, 7, 1, end=True)], "second time"),
            ([record(0, 7, 1), record(1, 8, 1, end=True)], "never began"),
        ],
    )
    def test_unbalanced_or_duplicate(self, records: list[MarkerRecord], message: str) -> None:
        with pytest.raises(OrchError, match=message):
            pair_markers(records)


class TestCalibration:
    @staticmethod
    def pair(ident: int, cost: int, *, end_vcpu: int = 0) -> MarkerPair:
        end = record(2 * ident + 1, 0, ident, end=True, at=tally(vcpus=2, non_secure_host_el0=cost), vcpu=end_vcpu)
        return MarkerPair(record(2 * ident, 0, ident, at=tally(vcpus=2)), end)

    def test_median_is_a_value_that_was_seen(self) -> None:
        costs = calibrate(self.pair(i, cost) for i, cost in enumerate([4, 4, 4000, 6]))
        assert costs == {
            S.NON_SECURE: 4,
            S.REALM: 0,
            S.ROOT: 0,
            S.SECURE: 0,
        }

    def test_migrated_pairs_are_left_out(self) -> None:
        pairs = [self.pair(0, 4), self.pair(1, 9, end_vcpu=1), self.pair(2, 9, end_vcpu=1)]
        assert calibrate(pairs)[S.NON_SECURE] == 4
        with pytest.raises(OrchError, match="calibrate"):
            calibrate(pairs[1:])


def counters_reply(**changes: Any) -> dict[str, Any]:
    reply: dict[str, Any] = {
        "counts": [zeros(len(LEVELS))],
        "moves": [zeros(len(SECURITY_STATES))],
        "exits": [[3, 9, 0, 0]],
        "stale": [0],
        "markers": 0,
        "dropped": 0,
    }
    reply["counts"][0][1][1] = 42
    return reply | changes


class TestCounters:
    def test_check_accepts_sound_counters(self) -> None:
        parse_counters(counters_reply()).check()
        parse_counters(counters_reply(mismatches=0, reference=counters_reply())).check()

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"stale": [3]}, "wrong world"), ({"dropped": 2}, "2 markers were lost"), ({"mismatches": 1}, "differed")],
    )
    def test_check_refuses_what_the_plugin_doubts(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(OrchError, match=message):
            parse_counters(counters_reply(**change)).check()

    @pytest.mark.parametrize(
        "change",
        [
            {"counts": [[[1, 2], [3, 4]]]},
            {"counts": [zeros(4)]},
            {"counts": [zeros(5), zeros(5)]},
            {"counts": 7},
            {"exits": [[3, 9, 0]]},
            {"exits": [3, 9, 0, 0]},
            {"exits": [[3, 9, 0, 0], [3, 9, 0, 0]]},
            {"exits": None},
            {"stale": ["0"]},
            {"stale": [True]},
            {"markers": None},
        ],
    )
    def test_other_shapes_are_errors(self, change: dict[str, Any]) -> None:
        with pytest.raises(OrchError, match="counter plugin sent"):
            parse_counters(counters_reply(**change))


def marker_reply(seq: int) -> dict[str, Any]:
    place = {"vcpu": 0, "world": "realm", "level": "el1"}
    values = {
        "counts": [zeros(len(LEVELS))],
        "moves": [zeros(len(SECURITY_STATES))],
        "exits": [[0] * len(SECURITY_STATES)],
    }
    return {"seq": seq, "event": 7, "id": seq // 2, "end": bool(seq % 2)} | place | values


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


class TestReport:
    def test_report(self, tmp_path: Path) -> None:
        log = {"next": 2, "total": 2, "dropped": 0, "markers": [marker_reply(0), marker_reply(1)]}
        path = tmp_path / "report.json"
        path.write_bytes(line({"info": INFO, "counters": counters_reply(markers=2), "log": log}))
        report = read_report(path)
        assert report.info.smp == 1
        assert report.counters.markers == 2
        assert len(pair_markers(report.markers)) == 1

    def test_missing_or_without_counters(self, tmp_path: Path) -> None:
        with pytest.raises(OrchError, match="no counter report"):
            read_report(tmp_path / "none.json")
        path = tmp_path / "report.json"
        path.write_bytes(line({"info": INFO, "counters": {"error": "the vCPUs have not started yet"}, "log": {}}))
        with pytest.raises(OrchError, match="no counters"):
            read_report(path)


def test_events_are_those_of_the_header() -> None:
    header = Path(__file__).resolve().parents[3] / "guest" / "abi" / "orch_marker.h"
    defined = re.findall(r"#define ORCH_EVENT_(\w+)\s+(0x\w+)", header.read_text(encoding="utf-8"))
    numbers = {name: int(number, 16) for name, number in defined if name != "MAX"}
    phases = {phase.upper(): phase.event for phase in PHASES.values()}
    assert numbers == {mark.name: mark.value for mark in Mark} | phases
