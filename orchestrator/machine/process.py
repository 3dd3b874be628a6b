# SPDX-License-Identifier: Apache-2.0
"""Processes named by pid *and* start time, so that a recycled pid is never taken for one of ours."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """A process: its pid and its start in clock ticks since the computer's boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this pid now, or had it and was not waited for; None when there is none."""
        fields = _fields(pid)
        return None if fields is None else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return not self.wait_gone(0)

    def stopped(self) -> bool:
        """Whether a signal or a debugger holds this very process up."""
        fields = _fields(self.pid)
        return fields is not None and int(fields[19]) == self.start and fields[0] in ("T", "t")

    def rss(self) -> int:
        """Resident memory, bytes; 0 when the process is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return 0
        lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(lines[0].split()[1]) * 1024 if lines and self.alive() else 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            # Only now compared: the descriptor pins the process, the number alone could be handed on in between.
            if ProcessId.of(self.pid) == self:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    def wait_gone(self, timeout: float) -> bool:
        """Wait for the end of this very process, at most `timeout` seconds; whether it ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            if ProcessId.of(self.pid) != self:
                return True
            # Readable when its last thread is gone: the state in /proc is that of the first thread alone.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(max(timeout, 0) * 1000))
        finally:
            os.close(descriptor)


def _fields(pid: int) -> list[str] | None:
    """What proc(5) has in `stat` behind the program's name: first the state; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name, in brackets, may hold spaces and brackets: fields are counted behind the last one.
    return stat[stat.rindex(")") + 2 :].split()
