# SPDX-License-Identifier: Apache-2.0
"""What is printed reaches whoever reads: on a descriptor that does not wait, and with any file's name in it."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TYPE_CHECKING

from orchestrator.files import write_whole

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LAST_ASCII, _SURROGATE = 0x7F, 0xDC00
_KEEP = "orch-keep"


class _Patient(io.RawIOBase):
    """A descriptor that is written to until all is out.

    Another program may have made it one that does not wait: terminals and pipes are shared.
    """

    def __init__(self, descriptor: int, *, terminal: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._terminal = terminal

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._terminal

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data)
        write_whole(self._descriptor, view)
        return view.nbytes


def _keep(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of a name that is no text come out as they are; what the terminal has no letter for is a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    code = ord(error.object[error.start])
    kept = bytes([code - _SURROGATE]) if _LAST_ASCII < code - _SURROGATE <= 0xFF else b"?"
    return kept, error.start + 1


def make_patient() -> None:
    """Replace stdout and stderr of this process; what is closed, or replaced already, stays."""
    codecs.register_error(_KEEP, _keep)
    for name in ("stdout", "stderr"):
        stream, first = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is None or stream is not first:
            continue
        stream.flush()
        raw = _Patient(stream.fileno(), terminal=stream.isatty())
        # ASCII is what a system says that does not know: click would put its own stream in place of such a one.
        known = stream.encoding if codecs.lookup(stream.encoding).name != "ascii" else "utf-8"
        replaced = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=known, errors=_KEEP, line_buffering=stream.line_buffering
        )
        setattr(sys, name, replaced)
