# SPDX-License-Identifier: Apache-2.0
"""A deterministic machine before a measurement: a start signal that is no packet, a spinner that holds still, ticks."""

from __future__ import annotations

import pytest
from emulated import Bed, host

from orchestrator.errors import BootError
from orchestrator.trace.markers import pair_markers
from orchestrator.trace.tally import Level
from orchestrator.trace.tally import SecurityState as S

# Opened both ways the FIFO has its reader from that moment on, before anybody writes.
WAIT = """
mkfifo /tmp/told
exec 3<>/run/go
(read -r line <&3; echo "$line" >/tmp/told) >/dev/null 2>&1 &
"""
# Two naps of a second: one with the spinner held up (virtual time jumps), one beside it.
NAPS = """
spin=$(cat /run/spin.pid) && [ "$(cat /proc/$spin/comm)" = orch-spin ] || exit 1
kill -STOP $spin; marker begin 256 1; sleep 1; marker end 256 1; kill -CONT $spin
marker begin 256 2; sleep 1; marker end 256 2
"""


def test_go_and_the_spinner(bed: Bed) -> None:
    done = bed.orch("up", "--deterministic", "--count")
    assert done.returncode == 0, done.stderr
    instance = bed.open().instance
    with pytest.raises(BootError, match="nobody waits"):
        instance.send_go()
    host(bed, "echo mine >/run/go")
    with pytest.raises(BootError, match="nobody waits"):
        instance.send_go()
    assert host(bed, "cat /run/go; rm /run/go; mkfifo /run/go") == "mine\n"
    with pytest.raises(BootError, match="nobody waits"):
        instance.send_go()
    host(bed, WAIT)
    instance.send_go()
    assert host(bed, "cat /tmp/told") == "go\n"

    client = bed.open().counter()
    seen = len(client.markers())
    host(bed, NAPS)
    still, spinning = (
        pair.delta.by_level()[S.NON_SECURE, Level.HOST_EL0] for pair in pair_markers(client.markers()[seen:])
    )
    assert spinning > 10**8  # a second is 10^9 instructions where one takes 1 ns
    assert still < spinning / 10
    ticks_are_moved(bed)


def ticks_are_moved(bed: Bed) -> None:
    """Half a period away from where they were, by a clock that has its own pace again when the program has ended."""
    period, pace = 10_000_000, "marker clock; busybox adjtimex | grep 'tick:'"
    before, tick = host(bed, pace).splitlines()
    after, again = host(bed, f"marker apart {before} {period} && {pace}").splitlines()
    assert abs((int(after) - int(before)) % period - period // 2) < 20_000
    assert tick == again
    stay = host(bed, "sleep 1; marker clock")
    assert abs(int(stay) - int(after)) < 20_000
    assert "not a period" in host(bed, "marker apart 0 0 2>&1 || :")
