# SPDX-License-Identifier: Apache-2.0
"""The instruction counter on real boots: exact, attributed to the right world, repeatable."""

from __future__ import annotations

import json

from emulated import Bed, load_rmi_check, tap_failures

from orchestrator.trace.counters import CounterClient, Tally, World, calibrate, pair_markers

HOST_READY = 1


def boot_tally(bed: Bed) -> Tally:
    """Counts of a cold deterministic boot up to the host-ready marker."""
    done = bed.orch("up", "--fresh", "--deterministic", "--count")
    assert done.returncode == 0, done.stderr
    client = CounterClient(bed.open().counter_socket())
    client.counters().check()
    (record,) = [each for each in client.markers() if each.event == HOST_READY and not each.end]
    assert bed.orch("ssh", "host", "--", "echo in").stdout == "in\n"
    bed.orch("down")
    return record.tally


def test_two_deterministic_boots_execute_the_same(bed: Bed) -> None:
    first, second = boot_tally(bed), boot_tally(bed)
    assert first.by_level() == second.by_level()
    assert first.entries() == second.entries()
    for world in (World.NON_SECURE, World.REALM, World.ROOT):
        assert first.by_world()[world] > 0


def test_fast_counts_equal_the_reference_on_a_boot(bed: Bed) -> None:
    done = bed.orch("up", "--fresh", "--count", "--count-mode", "both")
    assert done.returncode == 0, done.stderr
    client = CounterClient(bed.open().counter_socket())
    records = client.markers()
    assert records
    counters = client.counters()
    counters.check()  # raises on the first instruction that the two modes saw differently
    assert counters.mismatches == 0


def test_markers_from_the_shell(bed: Bed) -> None:
    bed.orch("up", "--count")
    before = CounterClient(bed.open().counter_socket())
    seen = len(before.markers())
    for index in range(5):
        assert bed.orch("ssh", "host", "--", f"marker pair 0 {100 + index}").returncode == 0
    assert bed.orch("ssh", "host", "--", "marker begin 256 7; true; marker end 256 7").returncode == 0
    records = before.markers()[seen:]
    pairs = pair_markers(records)
    assert len(pairs) == 6
    empty = calibrate([pair for pair in pairs if pair.begin.event == 0])
    assert 0 < empty[World.NON_SECURE] < 100
    (work,) = [pair for pair in pairs if pair.begin.event == 256]
    assert work.delta.by_world()[World.NON_SECURE] > 10_000  # a fork and an exec lie between
    table = json.loads(bed.orch("counters", "--json").stdout)
    assert table["total"] > 0
    assert table["empty_pair"]["non_secure"] == empty[World.NON_SECURE]
    assert bed.orch("ssh", "host", "--", "marker begin").returncode == 2


def test_counters_need_the_plugin(bed: Bed) -> None:
    bed.orch("up")
    done = bed.orch("counters")
    assert done.returncode == 2
    assert "without the counter" in done.stderr


def test_rmi_calls_reach_the_realm_world(bed: Bed) -> None:
    """RMI_VERSION and a granule's way to the Realm world and back, each counted in the right world."""
    bed.orch("up", "--count")
    client = CounterClient(bed.open().counter_socket())
    seen = len(client.markers())
    load_rmi_check(bed)
    tap = bed.orch("ssh", "host", "--", "cat /sys/kernel/debug/rmi-check/tap").stdout
    assert tap_failures(tap) == []
    calls = pair_markers(record for record in client.markers()[seen:] if record.event >= 256)
    assert calls
    for pair in calls:
        delta = pair.delta
        assert delta.by_world()[World.REALM] > 0, pair
        assert delta.by_world()[World.ROOT] > 0, pair
        assert delta.entries()[World.REALM] >= 1, pair
    assert bed.orch("ssh", "host", "--", "rmmod rmi_check").returncode == 0
