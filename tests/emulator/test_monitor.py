# SPDX-License-Identifier: Apache-2.0
"""The default machine's realm monitor: Linux boots above it, and it answers as RMM 1.0."""

from __future__ import annotations

from emulated import Bed, host, load_rmi_check, tap_failures


def test_it_serves_the_host(bed: Bed) -> None:
    done = bed.orch("up")
    assert done.returncode == 0, done.stderr
    assert "untested" not in done.stderr
    load_rmi_check(bed)
    tap = host(bed, "cat /sys/kernel/debug/rmi-check/tap")
    assert tap_failures(tap) == []
    assert "# rmi_version_lower 0x10000" in tap
    assert "# contents_kept 0" in tap
    assert host(bed, "nproc") == "2\n"
