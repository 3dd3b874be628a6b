# SPDX-License-Identifier: Apache-2.0
"""Linux in a realm and in a normal VM, as a user sees it: up, a shell that answers, time, power-off, nothing left."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from emulated import Bed, host, inside

HZ = 100  # testbed.yaml: kernel.guest_hz
WORLDS = ("realm", "vm")
RSI = "RME: Using RSI version 1.0"
BOUNCE_POOL = "(8MB)"
# Linux says it at the first bounce: a realm's devices see nothing but what it copies into the pool, which it shares.
BOUNCES = "Memory encryption is active and system is using DMA bounce buffers"


class Console:
    """`orch console WORLD` with a typist in front of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._seen = ""

    def type(self, text: str) -> None:
        """Press keys."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def until(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait for the pattern in what has been shown since the last match."""
        assert self._process.stdout is not None
        source, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        while not (match := re.search(pattern, self._seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"'{pattern}' not shown within {seconds} s; shown: {self._seen}"
            if select.select([source], [], [], left)[0]:
                data = os.read(source, 4096)
                assert data, f"the console ended before '{pattern}'; shown: {self._seen}"
                self._seen += data.decode(errors="replace").replace("\r", "")
        self._seen = self._seen[match.end() :]
        return match

    def say(self, command: str, seconds: float = 60) -> str:
        """Run a command and return what it printed. The quotes tell output from the echo of what was typed."""
        self.type(f"echo be''gin; {command}; echo en''d\n")
        return self.until(r"begin\n(?P<out>(?:.|\n)*?)end\n", seconds)["out"].strip()


@contextmanager
def console(bed: Bed, world: str) -> Iterator[Console]:
    process = subprocess.Popen(
        bed.command("console", world), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Console(process)
    finally:
        process.kill()
        process.communicate()


def status(bed: Bed) -> dict[str, Any]:
    """Of the guests, as `orch status --json` has it."""
    guests: dict[str, Any] = json.loads(json.dumps(bed.near.status()))["guests"]
    return guests


def wait_for_end(bed: Bed, world: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (now := status(bed)[world])["state"] in ("running", "ending"):
        assert time.monotonic() < deadline, "the guest does not end"
        time.sleep(0.1)
    return dict(now)


def up(bed: Bed, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = bed.orch("up", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def check_time(guest: Console) -> None:
    """Two seconds of work: the clock and the ticks agree with each other and, roughly, with our own clock."""
    guest.say("t() { awk '/arch_timer/ { print $2 }' /proc/interrupts; }")
    guest.say("u() { cut -d' ' -f1 /proc/uptime; }")
    started = time.monotonic()
    guest.say("a=$(t) b=$(u); timeout 2 sh -c 'while :; do :; done'; c=$(u) d=$(t)")
    outside = time.monotonic() - started  # more than inside as much as this computer is busy
    begin, end, ticks = guest.say("echo $b $c $((d - a))").split()
    inside = float(end) - float(begin)
    assert 1.9 < inside <= outside + 0.1
    assert 0.7 * HZ < int(ticks) / inside < 1.2 * HZ, f"{ticks} ticks in {inside} s"
    started = time.monotonic()
    guest.say("sleep 2")  # idle: the tick is off, and a timer has to wake the CPU
    assert time.monotonic() - started > 1.9  # that it wakes at all is the point: `say` has a time-out


def check_virtio(guest: Console, world: str) -> None:
    """The entropy device answers, through the bounce buffers in a realm and without them in a normal VM.

    The kernel asks it at boot and then no more by itself: each time would be some exits at a moment of its choosing.
    """
    current = "/sys/class/misc/hw_random/rng_current"
    assert (
        guest.say(f"cat {current}; grep -lx hwrng /proc/[0-9]*/comm; echo virtio_rng.0 >{current}; cat {current}")
        == "none\nvirtio_rng.0"
    )
    read = "dd if=/dev/hwrng bs=64 count=4 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'"
    once, again = (bytes.fromhex(guest.say(read)) for _ in range(2))
    assert len(once) == len(again) == 256
    assert once != again
    assert len(set(once)) > 100  # 162 of 256 values are to be expected
    assert (BOUNCES in guest.say("dmesg")) == (world == "realm")


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_whole_life(module_bed: Bed, world: str) -> None:
    bed = module_bed
    done = up(bed, f"--{world}")
    assert f"{world}: started; SSH answered after" in done.stdout
    assert f"{world}: already up" in up(bed, f"--{world}").stdout
    now = status(bed)[world]
    assert (now["state"], now["memory_mib"], now["vcpus"]) == ("running", 256, 1)
    assert isinstance(now["pid"], int)
    with console(bed, world) as guest:
        assert guest.say("echo $((6*7))") == "42"
        assert guest.say("dmesg | grep RSI") == (RSI if world == "realm" else "")
        assert BOUNCE_POOL in guest.say("dmesg | grep 'IO TLB: mapped'")
        check_virtio(guest, world)
        stats = status(bed)[world]["stats"]
        assert (stats["fault_shared"] > 0) == (world == "realm")
        assert stats["virtio_notify"] > 0
        assert stats["virtio_interrupt"] > 0
        assert guest.say("tty; hostname; id -u; nproc").split() == ["/dev/hvc0", "guest", "0", "1"]
        guest.type("sh -c 'echo run\"\"ning; sleep 1000'\n")
        guest.until("running\n")
        guest.type("\x03")  # job control: the shell is back
        assert guest.say("echo back") == "back"
        guest.type("exit\n")
        guest.until("BusyBox")  # a new one
        check_time(guest)
        guest.type("poweroff\n")
        assert wait_for_end(bed, world)["state"] == "off"
    assert "orch: guest-ready" in bed.orch("logs", world).stdout
    if world == "realm":
        driver = status(bed)["driver"]
        assert (driver["granules"], driver["leaked"]) == (0, 0)


def test_pretouched_memory_is_there(module_bed: Bed) -> None:
    # The first use of memory must cost the twins the same; KVM by itself maps a page when the guest touches it.
    bed = module_bed
    up(bed, "--vm", "--realm", "--mem", "128", "--pretouch")
    exits = "cat /sys/kernel/debug/kvm/exits"
    before = int(host(bed, exits))
    for world in ("vm", "realm"):
        inside(bed, world, "dd if=/dev/zero of=/tmp/pages bs=1M count=40")
    pages = 40 * 256
    assert int(host(bed, exits)) - before < pages // 4
    assert status(bed)["realm"]["stats"]["fault_protected"] == 0


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_down_and_up_again(module_bed: Bed, world: str) -> None:
    """The guest of the test before, if that was run."""
    bed = module_bed
    up(bed, f"--{world}", "--mem", "128", "--pretouch")
    assert status(bed)[world]["memory_mib"] == 128
    other = bed.orch("up", f"--{world}", "--mem", "256")
    assert other.returncode == 2
    assert f"`orch down {world}` first" in other.stderr
    stopped = bed.orch("down", world).stdout
    assert stopped == (f"{world}: stopped; delegated granules: 0\n" if world == "realm" else f"{world}: stopped\n")
    assert status(bed)[world]["state"] == "stopped"
    assert bed.orch("down", world).stdout == f"{world}: was not up\n"
    up(bed, f"--{world}")
    with console(bed, world) as guest:
        guest.say("true")
        guest.type("reboot\n")
        assert wait_for_end(bed, world)["state"] == "reset"


def test_vmm_killed_from_outside(module_bed: Bed) -> None:
    """It has the guest of the tests before, if they were run."""
    bed = module_bed
    up(bed, "--vm")
    pid = status(bed)["vm"]["pid"]
    host(bed, f"kill -KILL {pid}")
    assert wait_for_end(bed, "vm")["state"] == "lost"
    up(bed, "--vm")
    assert bed.orch("down", "vm").returncode == 0


def test_a_kernel_that_panics_is_told(make_module_bed: Callable[..., Bed]) -> None:
    bed = make_module_bed(extra='guest:\n  cmdline_extra: "rdinit=/none root=/dev/none"\n')
    bed.orch("down", "vm")  # if the test before has left it up
    done = bed.orch("up", "--vm")
    assert done.returncode == 4
    assert "error: vm: it ended before state 'guest-ready': panic: " in done.stderr
    assert "Kernel panic - not syncing" in done.stderr
    host(bed, "true")


def test_a_guest_that_never_gets_ready_is_stopped(make_module_bed: Callable[..., Bed]) -> None:
    bed = make_module_bed(extra='guest:\n  cmdline_extra: "rdinit=/bin/sh"\ntimeouts:\n  guest_ready: 20\n')
    bed.orch("down", "vm")  # if the test before has left it up
    done = bed.orch("up", "--vm")
    assert done.returncode == 4
    assert "error: vm: state 'guest-ready': not reached within 20 s" in done.stderr
    assert "built-in shell" in done.stderr  # the console's last lines
    assert status(bed)["vm"]["state"] == "stopped"


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_the_host_goes_down_with_a_guest_in_it(own_bed: Bed, world: str) -> None:
    bed = own_bed
    up(bed, f"--{world}")
    assert bed.orch("down").stdout == "stopped\n"
    assert "orch: guest-ready" in bed.orch("logs", world).stdout  # kept
    assert status(bed)[world]["state"] == "absent"
    assert up(bed).stdout.startswith("restored")  # and no snapshot has a guest in it
    assert host(bed, "ls /run/guest 2>/dev/null; true") == ""
