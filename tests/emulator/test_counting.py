# SPDX-License-Identifier: Apache-2.0
"""The instruction counter on real boots: exact, attributed to the right world, repeatable."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from emulated import Bed, host, load_rmi_check, tap_failures

from orchestrator.trace.markers import calibrate, pair_markers
from orchestrator.trace.tally import SecurityState as S
from orchestrator.trace.tally import Tally

HOST_READY = 1


def boot_tally(bed: Bed) -> Tally:
    """Counts of a cold deterministic boot up to the host-ready marker."""
    done = bed.orch("up", "--fresh", "--deterministic", "--count")
    assert done.returncode == 0, done.stderr
    client = bed.open().counter()
    client.counters().check()
    (record,) = [each for each in client.markers() if each.event == HOST_READY and not each.end]
    assert bed.orch("ssh", "host", "--", "echo in").stdout == "in\n"
    bed.orch("down")
    return record.tally


def test_two_deterministic_boots_execute_the_same(bed: Bed) -> None:
    first, second = boot_tally(bed), boot_tally(bed)
    assert first.by_level() == second.by_level()
    assert first.entries() == second.entries()
    assert first.guest_exits() == second.guest_exits()
    assert first.guest_exits()[S.NON_SECURE] == 1  # Linux goes through EL1 on its way to VHE; there is no guest
    for world in (S.NON_SECURE, S.REALM, S.ROOT):
        assert first.by_state()[world] > 0


@pytest.mark.long
def test_fast_counts_equal_the_reference_on_a_boot(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(extra="timeouts:\n  kernel: 240\n  host_ready: 240\n")  # a call for each instruction takes its time
    done = bed.orch("up", "--fresh", "--count", "--count-mode", "both")
    assert done.returncode == 0, done.stderr
    client = bed.open().counter()
    records = client.markers()
    assert records
    counters = client.counters()
    counters.check()  # raises on the first instruction that the two modes saw differently
    assert counters.mismatches == 0


def test_markers_from_the_shell(module_bed: Bed) -> None:
    bed = module_bed
    bed.orch("up", "--count")
    before = bed.open().counter()
    seen = len(before.markers())
    for index in range(5):
        host(bed, f"marker pair 0 {100 + index}")
    host(bed, "marker begin 256 7; true; marker end 256 7")
    records = before.markers()[seen:]
    pairs = pair_markers(records)
    assert len(pairs) == 6
    empty = calibrate([pair for pair in pairs if pair.begin.event == 0])
    assert 0 < empty[S.NON_SECURE] < 100
    (work,) = [pair for pair in pairs if pair.begin.event == 256]
    assert work.delta.by_state()[S.NON_SECURE] > 10_000  # a fork and an exec lie between
    table = json.loads(bed.orch("counters", "--json").stdout)
    assert table["total"] > 0
    assert table["empty_pair"]["non_secure"] == empty[S.NON_SECURE]
    assert bed.ask("host", "marker begin").code == 2


def test_counters_need_the_plugin(bed: Bed) -> None:
    bed.orch("up")
    done = bed.orch("counters")
    assert done.returncode == 2
    assert "without the counter" in done.stderr


def test_rmi_calls_reach_the_realm_world(module_bed: Bed) -> None:
    """RMI_VERSION and a granule's way to the Realm world and back, each counted in the right world."""
    bed = module_bed
    bed.orch("up", "--count")
    client = bed.open().counter()
    seen = len(client.markers())
    load_rmi_check(bed)
    tap = host(bed, "cat /sys/kernel/debug/rmi-check/tap")
    assert tap_failures(tap) == []
    calls = pair_markers(record for record in client.markers()[seen:] if record.event >= 256)
    assert calls
    for pair in calls:
        delta = pair.delta
        assert delta.by_state()[S.REALM] > 0, pair
        assert delta.by_state()[S.ROOT] > 0, pair
        assert delta.entries()[S.REALM] >= 1, pair
        assert delta.guest_exits()[S.REALM] == 0, "only the RMM ran"
    host(bed, "rmmod rmi_check")
