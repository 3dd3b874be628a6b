# SPDX-License-Identifier: Apache-2.0
"""How a measurement is started and its end noticed without a network packet: commands as data; all pure.

Everything is copied and the runner waits, armed, in its world: a program that is started only later would have another
layout of memory after each restore of the machine. The gate, a shell in the emulated host, waits for the start signal,
which comes through a virtio-serial port when all SSH connections are closed, and sends it on to the runner. Between its
two markers (COUNTED) the machine is left alone; the orchestrator looks for the second one in the instruction counter.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.experiment.phases import ALIGN_US, apart_ns, start_phase_us
from orchestrator.models.runtime import UNPACKED, Armed, Execution
from orchestrator.protect.deployable import INPUTS, RESULTS
from orchestrator.registry import RUNTIMES
from orchestrator.testbed.probe import stats_script
from orchestrator.words import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.models.runtime import Runtime
    from orchestrator.protect.deployable import Opening
    from orchestrator.runs.matrix import Cell
    from orchestrator.testbed.guest import GuestName

COUNTED = int(Mark.USER) + 1
"""Event of the markers around one measurement; its id is `base`."""
FOLDER = "/tmp/orch"  # noqa: S108 - in every world, which has no other users
PORT = 7070
GO_FIFO = "/run/go"
SPIN_PID = "/run/spin.pid"
CONSOLE = "/dev/hvc0"
SAID_FIFO = "/run/said"
"""Where the host's own runner says that it is done, as a guest's does on `CONSOLE`."""
REARM = "/sys/module/rearm/parameters/now"
"""guest/host/rearm: whatever is written gives a restored host its timers back."""
LOG = "/run/measure.log"
CODE = "/run/measure.code"
GATE_PID = "/run/measure.pid"
"""Of the gate that works, and of its process group; empty when it is done."""
RUNNER_PID = "/run/measure.runner"
"""In each world: of the armed runner, and of its process group."""
EXITS = ("/run/measure.before", "/run/measure.after")
"""The VMM's statistics when all has settled, and when the runner has said its last word; empty in the host's world."""
NOISE = "/run/measure.noise"
"""What is wrong with a measurement that has its counts all the same; missing if nothing is."""
ID_STEP = 1 << 20
"""Distance of the ids of two measurements: more than the iterations that a workload can have."""

_TIMED_OUT = 4  # exit code of `rvmm wait`
_WAIT_SECONDS = 86400  # of the machine's time, the longest that `rvmm wait` takes

# SSH connections that are still being taken down, by their states in /proc/net/tcp: their last packets are waited for.
_OPEN = ":0016 ([0-9A-F]+:[0-9A-F]+ )?0[1-589B] "
_QUIET = f"left=500; while [ $left -gt 0 ] && grep -qE '{_OPEN}' /proc/net/tcp; do left=$((left - 1)); done"
# Until nothing of the group `pid` is left, which takes no time but for large processes; 10 s at most.
_END_GROUP = "left=100; while [ $left -gt 0 ] && kill -9 -$pid 2>/dev/null; do left=$((left - 1)); sleep 0.1; done"
UNQUIET = "connections were still being taken down when counting began"
TICKS_MEET = "the host's ticks could not be moved away from the guest's"
SETTLE_SECONDS = 150
"""Of a deterministic machine's time, for which nobody waits, as an idle machine's clock jumps.

Kernels put work off that is left of what they did, and stir their random numbers more often in their first two minutes.
"""
SETTLE_REAL_SECONDS = 1
"""Where the clock is the build computer's: for who waits to be there."""


@dataclass(frozen=True)
class CountedExecution:
    """One execution of the cell's runtime, which opens what was deployed as `opening` says.

    `base` is its first marker id, unique in the life of a machine. `seed` is that of the boot.
    """

    cell: Cell
    opening: Opening
    base: int
    iterations: int
    warmups: int
    top: int
    seed: int

    @property
    def runtime(self) -> Runtime:
        """What executes."""
        found: Runtime = RUNTIMES[self.cell.runtime]
        return found

    def asked(self) -> dict[str, Any]:
        """What an `Execution` is told of the cell's signature, and of the tensors that are read."""
        reading, own = self.cell.reading, self.cell.own
        return {
            "signature": own.signature if own else None,
            "tensors": reading.named() if reading else (),
            "dims": reading.dims if reading else None,
            "min_score": reading.min_score if reading else None,
        }

    @property
    def said(self) -> str:
        """The runner's last word, on a guest's console or in the host's `SAID_FIFO`."""
        return f"orch: measured {self.base}"


def runner_command(what: CountedExecution, name: GuestName | None) -> list[str]:
    """The runner's argument vector, with the files of `FOLDER`: it waits for a datagram in the background.

    `name` is the guest that it is for, None for the host's own world.
    """
    phase = start_phase_us(what.seed, what.cell.cell_id)
    execution = Execution(
        model=f"{FOLDER}/{what.opening.model}",
        inputs=f"{FOLDER}/{INPUTS}",
        results=f"{FOLDER}/{RESULTS}",
        iterations=what.iterations,
        warmups=what.warmups,
        threads=what.cell.threads,
        output=what.cell.output,
        top=what.top,
        base=what.base,
        **what.asked(),
        options=what.opening.words(FOLDER),
        armed=Armed(PORT, ALIGN_US, phase, SAID_FIFO if name is None else CONSOLE, what.said),
    )
    return what.runtime.command(FOLDER, execution)


def link_script(mount: str) -> str:
    """Shell for a world: what is mounted there is the runtime, by the path that a copied one has."""
    return f"ln -s {mount} {FOLDER}/{UNPACKED}"


def digest_script(names: Iterable[str]) -> str:
    """Shell for a world: a line for each of these files of `FOLDER`, with its SHA-256 as the first word."""
    return f"cd {FOLDER} && for each in {shlex.join(names)}; do sha256sum <$each || exit 1; done"


def clear_script() -> str:
    """Shell for a world: nothing but the runtime is left of what was deployed."""
    return f'cd {FOLDER} && for each in *; do [ "$each" = {UNPACKED} ] || rm -rf "./$each"; done'


def arm_script(what: CountedExecution, name: GuestName | None) -> str:
    """Shell for the measured world: arm the runner; prints the offset of a guest's clock if ticks are to be kept apart.

    An earlier one whose end was not waited for is ended before: it would be counted as well.
    """
    # Its number may have become another process's meanwhile; it may be another runtime's.
    names = " ".join(f"-e {shlex.quote(each)}" for each in dict.fromkeys(each.comm for each in RUNTIMES.values()))
    earlier = f"pid=$(cat {RUNNER_PID} 2>/dev/null); ! grep -qsxF {names} /proc/$pid/comm || {{ {_END_GROUP}; }}"
    # A runner that cannot start says so at once; nobody would read it from a FIFO that an earlier gate left.
    clock = " && marker clock" if name is not None and apart_ns(what.cell.machine) else ""
    return f"{earlier}; rm -f {SAID_FIFO}; {shlex.join(runner_command(what, name))} >{RUNNER_PID}{clock}"


def _by_itself(seconds: int) -> str:
    """Shell: go on when `seconds` of the machine's time are over, restored meanwhile or not.

    Nothing from outside has a part in it. A restored host has no timers until they are re-armed, hence the loop, which
    reads the clock without them; nor does it idle, so that the clock does not jump.
    """
    now = "read -r up idle </proc/uptime"
    return f"{now}; end=$((${{up%.*}} + {seconds})); while [ ${{up%.*}} -lt $end ]; do echo 1 >{REARM}; {now}; done"


def _wait_command(what: CountedExecution, name: GuestName) -> str:
    """The program that waits for a guest's last word.

    Without a limit: seconds of the machine's time say nothing of the user's, and the orchestrator has the limit.
    """
    return shlex.join(["rvmm", "wait", name.folder, what.said, str(_WAIT_SECONDS)])


def _apart(what: CountedExecution, clock: int | None) -> str:
    """Shell: move the host's ticks away from those of a guest whose clock has this offset; they stay where they are."""
    period = apart_ns(what.cell.machine)
    if clock is None or period is None:
        return ":"
    return f"marker apart {clock} {period} || echo {shlex.quote(TICKS_MEET)} >>{NOISE}"


def _listen(what: CountedExecution, name: GuestName | None) -> str:
    """Shell: have someone wait for the runner's last word before it is started, for a program's start is not free."""
    return ":" if name is None else f"{{ exec {_wait_command(what, name)}; }} & waiter=$!"


def _work(what: CountedExecution, name: GuestName | None) -> str:
    """Shell: start the runner, wait for its last word, and leave in `code` whether that came."""
    go = shlex.join(what.runtime.go_command(FOLDER, "127.0.0.1" if name is None else name.address, PORT))
    if name is None:
        return f"{go}; code=$?; [ $code -ne 0 ] || {{ read -r said <&4; code=$?; }}"
    again = f"while [ $code -eq {_TIMED_OUT} ]; do {_wait_command(what, name)}; code=$?; done"
    return f"{go}; code=$?; if [ $code -eq 0 ]; then wait $waiter; code=$?; else kill $waiter; fi; {again}"


def gate_script(
    what: CountedExecution, name: GuestName | None, *, clock: int | None = None, after: int | None = None
) -> str:
    """Shell for the host that starts the gate in the background; `name` is the guest, None for the host's own world.

    What an earlier gate still does, whose end was not waited for, is ended before: it would be counted as well. `clock`
    is the offset of the guest's clock, ns. With `after` the gate waits so many seconds of the machine's time instead of
    for the start signal.
    """
    before, after_it = (f"{stats_script(name) if name else ':'} >{path}" for path in EXITS)
    # A moment that is replayed has settled as far as it ever will.
    settle = SETTLE_SECONDS if what.cell.machine.deterministic and after is None else SETTLE_REAL_SECONDS
    spin = f"[ ! -e {SPIN_PID} ] || kill -{{}} $(cat {SPIN_PID})"
    gate = "; ".join(
        [
            f"echo $$ >{GATE_PID}",
            # An idle machine's clock may jump from here on, as nothing from outside waits for it.
            spin.format("STOP"),
            "read -r go <&3; exec 3<&-" if after is None else _by_itself(after),
            _QUIET,
            f"[ $left -gt 0 ] || echo {shlex.quote(UNQUIET)} >>{NOISE}",
            _apart(what, clock),
            _listen(what, name),
            f"sleep {settle}",
            before,
            f"marker begin {COUNTED} {what.base}",
            _work(what, name),
            f"echo $code >{CODE}",
            after_it,
            f"marker end {COUNTED} {what.base}",
            spin.format("CONT"),
            f": >{GATE_PID}",
        ]
    )
    # Opened for both directions they wait for nobody, and have a reader before this command returns.
    fresh = f"rm -f {GO_FIFO} {SAID_FIFO} {CODE} {NOISE} && mkfifo {GO_FIFO} {SAID_FIFO}"
    earlier = f"[ ! -s {GATE_PID} ] || {{ pid=$(cat {GATE_PID}); {_END_GROUP}; }}"
    ready = f"{earlier}; {fresh} && exec 3<>{GO_FIFO} 4<>{SAID_FIFO}"
    return f"{ready} && {{ setsid sh -c {shlex.quote(gate)} </dev/null >{LOG} 2>&1 & }}"
