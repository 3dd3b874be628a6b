# SPDX-License-Identifier: Apache-2.0
"""Console bytes to time-stamped text lines; pure, the caller brings the clock."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

# A guest that never ends a line must not fill memory.
LONGEST_LINE = 4096
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def stamp(when: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """The text without terminal sequences; other control characters become visible escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", _ESCAPE.sub("", text))


@dataclass
class LineStamper:
    """Cuts a byte stream into lines and gives each the time at which it began to be written.

    `feed` returns the text to append to the log; `lines` collects complete lines until `take` empties it.
    A partial line (a prompt) is written by `flush` and continued by the next `feed` on the same log line.
    """

    pending: str = ""
    lines: list[str] = field(default_factory=list)
    _open: bool = False
    _written: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace"),
    )

    def feed(self, data: bytes, when: float) -> str:
        """Take bytes that arrived at `when` (seconds since the epoch); returns what to append to the log."""
        self.pending += self._decoder.decode(data).replace("\r", "")
        out = []
        while "\n" in self.pending or len(self.pending) >= LONGEST_LINE:
            end = self.pending.find("\n", 0, LONGEST_LINE)
            line = self.pending[: end if end >= 0 else LONGEST_LINE]
            self.pending = self.pending[len(line) + (1 if end >= 0 else 0) :]
            out.append(self._write(line, when) + "\n")
            self.lines.append(printable(self._written + line))
            self._open, self._written = False, ""
        return "".join(out)

    def flush(self, when: float) -> str:
        """Give out an unfinished line; returns what to append to the log."""
        if not self.pending:
            return ""
        text = self._write(self.pending, when)
        self._written += self.pending
        self.pending = ""
        return text

    def close(self, when: float) -> str:
        """End of the stream: give out what is left as a line."""
        return self.feed(b"\n", when) if self.pending or self._open else ""

    def take(self) -> list[str]:
        """The complete lines since the last call, printable and without stamps."""
        lines, self.lines = self.lines, []
        return lines

    def _write(self, text: str, when: float) -> str:
        head = "" if self._open else f"{stamp(when)} "
        self._open = True
        return head + printable(text)
