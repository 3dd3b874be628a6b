# SPDX-License-Identifier: Apache-2.0
"""/dev/realm, used and misused by a program of its own: no VMM, no Linux in the realm."""

from __future__ import annotations

import os

import pytest
from emulated import Bed, build, host, make_realms_possible, tap_failures

# Calls of the fuzzer in a seed's turn; ORCH_FUZZ_CALLS makes it last.
CALLS = int(os.environ.get("ORCH_FUZZ_CALLS", "1000"))
SEEDS = (1, 2)

# The time-out ends a check that hangs before pytest's own does, so that the report so far is seen.
RUN = "insmod /tmp/realm.ko && timeout 120 /tmp/driver-check"


def test_realms_by_file_descriptor(module_bed: Bed) -> None:
    bed = module_bed
    assert bed.orch("up").returncode == 0
    bed.put("host", [build(bed, "realm-driver") / "realm.ko", build(bed, "driver-check") / "driver-check"])
    tap = bed.ask("host", RUN, 150)
    assert tap_failures(tap.stdout) == [], tap.stdout
    assert tap.code == 0, tap.stderr
    # It can be unloaded, and nothing of what it did troubled the kernel.
    host(bed, "rmmod realm")
    log = host(bed, "dmesg")
    for word in ("Oops", "WARNING", "BUG:", "leaked"):
        assert word not in log, log


@pytest.mark.timeout(300 + CALLS // 10)
def test_senseless_calls(module_bed: Bed) -> None:
    """Any call at any moment: a realm beside them lives, nothing is left, the next realm starts."""
    bed = module_bed
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
    assert bed.orch("down", "realm").returncode == 0


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


def test_a_page_that_does_not_come_back_is_never_used_again(module_bed: Bed) -> None:
    """It is counted and stays the driver's; everything else comes back, and the next realm gets other pages.

    The last one here: the page is lost to the machine.
    """
    bed = module_bed
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
