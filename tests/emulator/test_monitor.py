# SPDX-License-Identifier: Apache-2.0
"""Our own realm monitor in place of TF-A's test payload: Linux boots above it, and it answers as RMM 1.0."""

from __future__ import annotations

from collections.abc import Callable

from emulated import Bed, load_rmi_check, tap_failures


def test_it_serves_the_host(make_bed: Callable[..., Bed]) -> None:
    testbed = make_bed(name="plain.yaml").open()
    node = testbed.project.node(testbed.graph, "monitor")
    testbed.builder.build([node])
    bed = make_bed(extra=f"stack:\n  rmm: {testbed.builder.artifact(node)}/rmm.bin\n")
    done = bed.orch("up", "--fresh")
    assert done.returncode == 0, done.stderr
    assert "untested: stack.rmm" in done.stderr
    load_rmi_check(bed)
    tap = bed.orch("ssh", "host", "--", "cat /sys/kernel/debug/rmi-check/tap").stdout
    assert tap_failures(tap) == []
    assert "# rmi_version_lower 0x10000" in tap
    assert "# contents_kept 0" in tap
    assert bed.orch("ssh", "host", "--", "nproc").stdout == "2\n"
