# SPDX-License-Identifier: Apache-2.0
"""What the plugin says is read strictly, and what it doubts is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from counter_answers import INFO, counters_reply, marker_reply, zeros

from orchestrator.errors import OrchError
from orchestrator.trace.markers import pair_markers
from orchestrator.trace.parsing import parse_counters, read_report


def line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


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
