# SPDX-License-Identifier: Apache-2.0
"""A deterministic machine before a measurement: a start signal that is no packet, a spinner that holds still, ticks."""

from __future__ import annotations

import shlex
import time

import pytest
from emulated import Bed, host

from orchestrator.errors import BootError
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.probe import read_stats, stats_script
from orchestrator.trace.markers import pair_markers
from orchestrator.trace.tally import Level
from orchestrator.trace.tally import SecurityState as S
from orchestrator.words import World

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
# Minutes of the machine's time in which its clock jumps, with one packet for the guest in their middle. They begin when
# the connection that they were asked for by is gone.
SILENCE = """
sleep 3; spin=$(cat /run/spin.pid); kill -STOP $spin; sleep 200
{before}; ping -c 1 -W 5 {address}; sleep 200; {after}
kill -CONT $spin; : >/run/silent
"""
PERIOD = 10_000_000


def test_go_and_the_spinner(bed: Bed) -> None:
    done = bed.orch("up", "--deterministic", "--count", "--vm", "--mem", "64")
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
    a_guest_is_left_alone(bed)


def clock(bed: Bed, world: str) -> int:
    """Where the ticks of a world's kernel are, by its counter; ns, modulo their period."""
    return int(bed.orch("ssh", world, "--", "marker clock").stdout) % PERIOD


def ticks_are_moved(bed: Bed) -> None:
    """Half a period away from the guest's, by a clock that has its own pace again when the program has ended."""
    pace = "busybox adjtimex | grep 'tick:'"
    before, guests = host(bed, pace), clock(bed, "vm")
    for _ in range(2):  # the second time there is nothing to do
        host(bed, f"marker apart {guests} {PERIOD}")
        assert abs((clock(bed, "host") - guests) % PERIOD - PERIOD // 2) < 20_000
    assert abs(clock(bed, "vm") - guests) < 20_000
    assert host(bed, pace) == before
    assert "not a period" in host(bed, "marker apart 0 0 2>&1 || :")


def a_guest_is_left_alone(bed: Bed) -> None:
    """For minutes after a packet no other comes, neither way, and no kernel folds its counters or asks for entropy."""
    wanted = ("net_rx_frames", "net_tx_frames")
    vm = GuestName(World.VM)
    looks = [f"{stats_script(vm)} >/run/{name}" for name in ("before", "after")]
    work = SILENCE.format(before=looks[0], after=looks[1], address=vm.address)
    host(bed, f"setsid sh -c {shlex.quote(work)} </dev/null >/run/silence.log 2>&1 &")
    time.sleep(15)  # a connection that is open while the clock jumps may run into its time-outs
    seen = host(bed, "while [ ! -e /run/silent ]; do sleep 0.2; done; cat /run/before; echo; cat /run/after")
    before, after = (read_stats(line) for line in seen.splitlines())
    # The echo's request and answer; the driver may notify twice: of the answer, and of a new buffer.
    assert {name: after[name] - before[name] for name in wanted} == dict.fromkeys(wanted, 1)
    assert after["virtio_notify"] - before["virtio_notify"] <= 2
    for world in ("host", "vm"):
        assert bed.orch("ssh", world, "--", "cat /proc/sys/vm/stat_interval").stdout == "86400\n"
