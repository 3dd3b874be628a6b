# SPDX-License-Identifier: Apache-2.0
"""The pass over physical memory: it survives every page whose touch is the end of its process, and skips no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from orchestrator.privacy.blocks import choose_blocks

PAGE = 4096
PAGES = 40
MODEL = np.random.default_rng(3).integers(0, 256, 4 * PAGE, np.uint8).tobytes()
BLOCKS = len(MODEL) // 64


def run(program: Path, folder: Path, at: int, unreadable: list[int]) -> str:
    memory = bytearray(PAGES * PAGE)
    memory[at : at + len(MODEL)] = MODEL
    (folder / "image").write_bytes(memory)
    (folder / "needles").write_bytes(choose_blocks(MODEL, 1).needles)
    command = [program, folder / "image", folder / "needles", *map(str, unreadable)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "unreadable", [[], [0], [PAGES - 1], [2, 3], [0, 1, 2], [*range(20, PAGES)], [1, 5, 6, 7, 19, 39]]
)
def test_what_faults_is_what_cannot_be_read(sweep: Path, tmp_path: Path, unreadable: list[int]) -> None:
    """Wherever it is: at the ends of a range, in a row, alone. The rest is searched, here pages 10 to 13."""
    said = run(sweep, tmp_path, 10 * PAGE, unreadable)
    zero = PAGES - 4 - len(unreadable)
    pages = "".join(f" {page}" for page in unreadable)
    assert said == f"zero {zero} faulted {len(unreadable)} found {BLOCKS}:{pages}"


def test_an_unreadable_page_hides_what_is_in_it_only(sweep: Path, tmp_path: Path) -> None:
    """The file begins 32 bytes before a page's end, so each page's last block goes on in the next."""
    assert "found 256:" in run(sweep, tmp_path, 11 * PAGE - 32, [])
    # Of 64 blocks that begin in page 12 all are lost, and the one that ends there.
    assert run(sweep, tmp_path, 11 * PAGE - 32, [12]).endswith(f"found {BLOCKS - 65}: 12")


def test_no_readable_page_at_all(sweep: Path, tmp_path: Path) -> None:
    assert run(sweep, tmp_path, 0, list(range(PAGES))).startswith(f"zero 0 faulted {PAGES} found 0:")
