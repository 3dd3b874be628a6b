# SPDX-License-Identifier: Apache-2.0
"""Markers and the runner's record become observations: whose instructions, minus what marking costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from orchestrator.errors import OrchError, WorkloadError
from orchestrator.experiment.collect import components, correct_rows, exit_rows, exits, inference_rows, life_rows
from orchestrator.models.record import RunnerRecord
from orchestrator.models.tensors import Tensors
from orchestrator.runs.observation import Observation
from orchestrator.trace.markers import MarkerRecord
from orchestrator.trace.tally import LEVELS, SECURITY_STATES, Level, Tally
from orchestrator.trace.tally import SecurityState as S
from orchestrator.words import BOOT, INFER, LOAD, READ, REALM_CREATE, TEARDOWN, WRITE, Mark

REALM0, REALM1, RMM = (
    (S.REALM, Level.EL0),
    (S.REALM, Level.EL1),
    (S.REALM, Level.EL2),
)
VM0, HOST2, HOST0 = (
    (S.NON_SECURE, Level.EL0),
    (S.NON_SECURE, Level.EL2),
    (S.NON_SECURE, Level.HOST_EL0),
)
EL3 = (S.ROOT, Level.EL3)
BASE = 1 << 20


def tally(counts: Mapping[tuple[S, Level], int], left: int = 0, to_root: int = 0) -> Tally:
    matrix = tuple(tuple(counts.get((world, level), 0) for level in LEVELS) for world in SECURITY_STATES)
    moves = [[0] * len(SECURITY_STATES) for _ in SECURITY_STATES]
    moves[SECURITY_STATES.index(S.REALM)][SECURITY_STATES.index(S.ROOT)] = to_root
    exits_of = tuple(left if world is S.REALM else 0 for world in SECURITY_STATES)
    return Tally((matrix,), (tuple(tuple(row) for row in moves),), (exits_of,))


class Machine:
    """Executes, and is marked meanwhile."""

    def __init__(self) -> None:
        self.counts: dict[tuple[S, Level], int] = {}
        self.left = self.to_root = 0
        self.records: list[MarkerRecord] = []

    def work(self, counts: Mapping[tuple[S, Level], int], *, left: int = 0, to_root: int = 0) -> None:
        for place, count in counts.items():
            self.counts[place] = self.counts.get(place, 0) + count
        self.left += left
        self.to_root += to_root

    def mark(self, event: int, number: int, *, end: bool) -> None:
        now = tally(self.counts, self.left, self.to_root)
        self.records.append(MarkerRecord(len(self.records), int(event), number, end, 0, S.REALM, Level.EL0, now))
        self.work({REALM0: 1})  # the marker itself

    def phase(self, event: int, number: int, counts: Mapping[tuple[S, Level], int] | None = None) -> None:
        self.mark(event, number, end=False)
        self.work(counts or {}, left=3 if counts else 0, to_root=2 if counts else 0)
        self.mark(event, number, end=True)


def inference(iterations: int) -> Machine:
    machine = Machine()
    for k in range(8):
        machine.phase(Mark.CALIBRATE, BASE + k)
    machine.phase(LOAD.event, BASE, {REALM0: 50})
    for k in range(iterations):
        machine.phase(READ.event, BASE + k, {REALM0: 10})
        machine.phase(INFER.event, BASE + k, {REALM0: 1000, REALM1: 20, RMM: 7, EL3: 5, HOST2: 3, HOST0: 2})
        machine.phase(WRITE.event, BASE + k, {REALM0: 4})
    return machine


def record(iterations: int) -> RunnerRecord:
    lines = tuple(
        {"event": "iteration", "k": k, "warmup": k == 0, "input": k % 2, "ns": {"read": 1, "infer": 2, "write": 3}}
        for k in range(iterations)
    )
    return RunnerRecord(9, lines, {"peak_rss_kib": 4096, "minor_faults": 0, "rx_packets_during": None})


def found(rows: list[Observation], phase: str, component: str, metric: str) -> list[float]:
    return [row.value for row in rows if (row.phase, row.component, row.metric) == (phase, component, metric)]


def test_phases_without_what_marking_costs() -> None:
    rows = list(inference_rows(inference(3).records, record(3), "realm", BASE))
    assert found(rows, "load", "guest_user", "instructions") == [50]
    assert found(rows, "infer", "guest_user", "instructions") == [1000] * 3
    assert found(rows, "infer", "all", "instructions") == [1037] * 3
    assert [
        found(rows, "infer", part, "instructions")[0] for part in ("guest_kernel", "rmm", "el3", "host_kernel", "vmm")
    ] == [
        20,
        7,
        5,
        3,
        2,
    ]
    assert found(rows, "infer", "all", "exits") == [3] * 3
    assert found(rows, "infer", "all", "host_exits") == [2] * 3
    assert found(rows, "write", "all", "duration") == [3] * 3
    assert found(rows, "infer", "guest_user", "peak_rss") == [4096]
    assert found(rows, "infer", "guest_user", "minor_faults") == [0]
    assert not found(rows, "infer", "guest_user", "rx_packets")  # nobody counted them
    assert [row.is_warmup for row in rows if row.metric == "duration" and row.phase == "infer"] == [True, False, False]


def test_packets_that_arrive_while_counting_are_noted() -> None:
    for packets, note in ((0, None), (3, "3 packets arrived while instructions were counted")):
        record = RunnerRecord(9, (), {"rx_packets_during": packets, "peak_rss_kib": 1})
        rows = {row.metric: row for row in inference_rows(inference(0).records, record, "realm", BASE)}
        assert (rows["rx_packets"].value, rows["rx_packets"].note) == (packets, note)
        assert rows["peak_rss"].note is None


def test_components_add_up_to_all() -> None:
    counts = {REALM0: 1, REALM1: 2, RMM: 4, EL3: 8, HOST2: 16, HOST0: 32}
    parts = components(tally(counts), "realm")
    assert parts.pop("all") == sum(parts.values()) == 63


def test_the_same_place_has_another_role_in_another_world() -> None:
    there = tally({HOST0: 5, VM0: 7})
    assert components(there, "host")["guest_user"] == 5
    assert (components(there, "vm")["guest_user"], components(there, "vm")["vmm"]) == (7, 5)


def test_the_host_has_no_exits() -> None:
    assert exits(tally({}, left=4), "host") == {}


@pytest.mark.parametrize("lost", range(16, 28))
def test_a_lost_marker_is_no_small_error(lost: int) -> None:
    records = inference(2).records
    del records[lost]
    with pytest.raises(OrchError):
        list(inference_rows(records, record(2), "realm", BASE))


def test_without_calibration_there_is_no_count() -> None:
    with pytest.raises(WorkloadError, match="calibrate"):
        list(inference_rows(inference(1).records[16:], record(1), "realm", BASE))


def test_a_guests_life() -> None:
    machine = Machine()
    for event, count in zip((REALM_CREATE.event, BOOT.event, TEARDOWN.event), (100, 200, 300), strict=True):
        machine.phase(event, 5, {RMM: count})
    machine.phase(BOOT.event, 6, {RMM: 1})  # another guest's
    machine.mark(TEARDOWN.event, 5 + 1, end=False)  # which is not over
    rows = list(life_rows(machine.records, "realm", 5))
    assert [found(rows, phase, "rmm", "instructions") for phase in ("realm_create", "boot", "teardown")] == [
        [100],
        [200],
        [300],
    ]
    assert found(rows, "boot", "all", "exits") == [3]
    assert not [row for row in rows if row.metric == "host_exits"]  # moves to EL3 are returns of the host's calls too


def test_right_answers_are_counted_where_labels_are_known() -> None:
    rows = list(correct_rows(record(4), Tensors(b"", 2, ((7,), (8, 6))), [7, 6, 7, 9]))
    assert [row.value for row in rows] == [1, 1, 1, 0]
    assert not list(correct_rows(record(4), Tensors(b"", 2), [7, 8, 7, 9]))


def test_only_exits_are_exits() -> None:
    assert [row.metric for row in exit_rows({"wfx": 2, "net_rx_frames": 9, "run": 1})] == ["exits_wfx"]


def test_phases_are_distinct() -> None:
    rows = list(inference_rows(inference(2).records, record(2), "realm", BASE))
    keys = [(row.phase, row.component, row.metric, row.iteration) for row in rows]
    assert not [key for key, group in itertools.groupby(sorted(keys, key=str)) if len(list(group)) > 1]
