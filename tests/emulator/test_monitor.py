# SPDX-License-Identifier: Apache-2.0
"""The default machine's realm monitor: Linux boots above it, and it answers as RMM 1.0; TF-A's payload does not."""

from __future__ import annotations

from collections.abc import Callable

from emulated import Bed, load_rmi_check, tap_failures


def test_it_serves_the_host(bed: Bed) -> None:
    done = bed.orch("up", "--fresh")
    assert done.returncode == 0, done.stderr
    assert "untested" not in done.stderr
    load_rmi_check(bed)
    tap = bed.orch("ssh", "host", "--", "cat /sys/kernel/debug/rmi-check/tap").stdout
    assert tap_failures(tap) == []
    assert "# rmi_version_lower 0x10000" in tap
    assert "# contents_kept 0" in tap
    assert bed.orch("ssh", "host", "--", "nproc").stdout == "2\n"


def test_a_payload_that_is_no_rmm_can_take_its_place(make_bed: Callable[..., Bed]) -> None:
    """The machine comes up with TF-A's own payload; what it cannot do is said when a realm is asked for."""
    testbed = make_bed(name="plain.yaml").open()
    node = testbed.project.node(testbed.graph, "trp")
    testbed.builder.build([node])
    bed = make_bed(extra=f"stack:\n  rmm: {testbed.builder.artifact(node)}/rmm.bin\n")
    done = bed.orch("up", "--fresh", "--realm")
    assert done.returncode == 4
    assert "untested: stack.rmm" in done.stderr
    assert "error: realm: the driver was not loaded: no RMM" in done.stderr
    assert bed.orch("ssh", "host", "--", "true").returncode == 0  # the host is none the worse for it
