# SPDX-License-Identifier: Apache-2.0
"""All of the machine's memory as the emulator has it: no granule protection is between. A control, not an attack."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.machine.platform import Capability
from orchestrator.privacy import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.testbed.testbed import Testbed

_END = 120.0  # s for the search to end when all memory is there


def search(bed: Testbed, needles: Path, work: Path, listed: Sequence[int] = ()) -> answers.Scan:
    """Search the emulator's memory; region `god` is all of it, `god-listed` what begins in one of the listed pages.

    The memory goes through a pipe: 3 GiB never are on a disk. `work` is a folder for small files.
    """
    bed.need(Capability.MEMORY_VIEW)
    node = bed.graph.node("attack:arch=amd64")
    bed.builder.build([node])
    pages = work / "delegated"
    pages.write_text("".join(f"{address:#x}\n" for address in listed), encoding="ascii")
    program, base = bed.builder.artifact(node) / "attack", bed.instance.ram.start
    command = [str(program), "stream", str(needles), hex(base), str(pages)]
    answer = work / "god.jsonl"
    with _pipe(work / "memory") as (path, reader, writer), answer.open("wb") as out:
        process = subprocess.Popen(command, stdin=reader, stdout=out, stderr=subprocess.PIPE)
        os.close(reader)
        try:
            bed.instance.pour_memory(path)
            os.close(writer)  # the end of the stream, when the emulator has closed its own end
            _, words = process.communicate(timeout=_END)
        except subprocess.TimeoutExpired:
            raise OrchError(f"the search of the emulator's memory did not end within {_END:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        raise OrchError(f"the search of the emulator's memory failed: {words.decode(errors='replace').strip()}")
    return answers.read_stream(answer.read_text(encoding="ascii"))


@contextmanager
def _pipe(path: Path) -> Iterator[tuple[Path, int, int]]:
    """A named pipe, its reader (for a child) and a writer, without which the stream would end after the first piece."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    try:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.set_blocking(reader, True)
        yield path, reader, writer
    finally:
        path.unlink(missing_ok=True)
