# SPDX-License-Identifier: Apache-2.0
"""/dev/realm, used and misused by a program of its own: no VMM, no Linux in the realm."""

from __future__ import annotations

from collections.abc import Callable

from emulated import Bed, build, tap_failures

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


def test_without_a_monitor_it_says_so(make_bed: Callable[..., Bed]) -> None:
    payload = build(make_bed(name="plain.yaml"), "trp") / "rmm.bin"
    bed = make_bed(extra=f"stack:\n  rmm: {payload}\n")
    assert bed.orch("up", "--fresh").returncode == 0
    bed.orch("cp", str(build(bed, "realm-driver") / "realm.ko"), "host:/tmp/")
    assert bed.orch("ssh", "host", "--", "insmod /tmp/realm.ko").returncode != 0
    log = bed.orch("ssh", "host", "--", "dmesg").stdout
    assert "realm: no RMM that speaks RMI 1.0" in log or "this RMM makes no realms" in log
