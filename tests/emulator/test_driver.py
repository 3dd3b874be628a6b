# SPDX-License-Identifier: Apache-2.0
"""/dev/realm, used and misused by a program of its own: no VMM, no Linux in the realm."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from emulated import Bed, build, host, make_realms_possible, tap_failures

# Calls of the fuzzer in a seed's turn; ORCH_FUZZ_CALLS makes it last.
CALLS = int(os.environ.get("ORCH_FUZZ_CALLS", "1000"))
SEEDS = (1, 2)

# The time-out ends a check that hangs before pytest's own does, so that the report so far is seen.
RUN = "insmod /tmp/realm.ko && timeout 120 /tmp/driver-check"


def test_realms_by_file_descriptor(bed: Bed) -> None:
    assert bed.orch("up", "--fresh").returncode == 0
    for node, name in (("realm-driver", "realm.ko"), ("driver-check", "driver-check")):
        copied = bed.orch("cp", str(build(bed, node) / name), "host:/tmp/")
        assert copied.returncode == 0, copied.stderr
    tap = bed.orch("ssh", "host", "--", RUN)
    assert tap_failures(tap.stdout) == [], tap.stdout
    assert tap.returncode == 0, tap.stderr
    # It can be unloaded, and nothing of what it did troubled the kernel.
    assert bed.orch("ssh", "host", "--", "rmmod realm").returncode == 0
    log = bed.orch("ssh", "host", "--", "dmesg").stdout
    for word in ("Oops", "WARNING", "BUG:", "leaked"):
        assert word not in log, log


@pytest.mark.timeout(300 + CALLS // 10)
def test_senseless_calls(bed: Bed) -> None:
    """Any call at any moment: a realm beside them lives, nothing is left, the next realm starts."""
    make_realms_possible(bed, "driver-check")
    for seed in SEEDS:
        said = host(bed, f"/tmp/driver-check fuzz {seed} {CALLS}", timeout=120 + CALLS // 20)
        assert said.endswith("the other realm lives, 0 granules left, then 0, leaked 0\n"), said
        assert {"success", "EPROTO", "EINTR"} <= set(said.split()), "it got nowhere"
    trouble = host(bed, "dmesg | grep -E 'Oops|WARNING|BUG|blocked for more than|leaked' | head; true")
    assert trouble == ""
    host(bed, "rmmod realm")
    done = bed.orch("up", "--realm")
    assert done.returncode == 0, done.stderr


# The realm's only REC is one of the pages.
STEAL = """
insmod /tmp/rec_steal.ko
/tmp/driver-check idle & idle=$!
cd /sys/kernel/debug/realm
i=0; until [ $(cat granules) -gt 12 ]; do i=$((i + 1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done
stolen=0
for page in $(cat pages); do
    echo $page 2>/dev/null >/sys/module/rec_steal/parameters/page && stolen=$((stolen + 1)) && rec=$page
done
kill -KILL $idle; wait $idle
echo stolen $stolen granules $(cat granules) leaked $(cat leaked)
[ $(cat pages) = $rec ] && echo marked
/tmp/driver-check idle & idle=$!
i=0; until [ $(cat granules) -gt 13 ]; do i=$((i + 1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done
grep -c $rec pages
kill -KILL $idle; wait $idle
echo granules $(cat granules) leaked $(cat leaked)
"""


def test_a_page_that_does_not_come_back_is_never_used_again(bed: Bed) -> None:
    """It is counted and stays the driver's; everything else comes back, and the next realm gets other pages."""
    make_realms_possible(bed, "driver-check", "rec-steal")
    assert host(bed, STEAL).splitlines() == [
        "stolen 1 granules 1 leaked 1",
        "marked",
        "1",
        "granules 1 leaked 1",
    ]
    log = host(bed, "dmesg")
    assert "cannot be undelegated" in log
    assert "Oops" not in log


def test_without_a_monitor_it_says_so(make_bed: Callable[..., Bed]) -> None:
    payload = build(make_bed(name="plain.yaml"), "trp") / "rmm.bin"
    bed = make_bed(extra=f"stack:\n  rmm: {payload}\n")
    assert bed.orch("up", "--fresh").returncode == 0
    bed.orch("cp", str(build(bed, "realm-driver") / "realm.ko"), "host:/tmp/")
    assert bed.orch("ssh", "host", "--", "insmod /tmp/realm.ko").returncode != 0
    log = bed.orch("ssh", "host", "--", "dmesg").stdout
    assert "realm: no RMM that speaks RMI 1.0" in log or "this RMM makes no realms" in log
