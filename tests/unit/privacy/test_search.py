# SPDX-License-Identifier: Apache-2.0
"""The search itself, on memory made here: every byte offset, every boundary, nothing that is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from orchestrator.privacy.answers import Scan, read_stream
from orchestrator.privacy.blocks import choose_blocks

PAGE = 4096
BASE = 0x4000_0000
CHUNK = 256 * PAGE  # what the program reads at once
RANDOM = np.random.default_rng(11)


def noise(count: int) -> bytes:
    return RANDOM.integers(0, 256, count, np.uint8).tobytes()


MODEL = noise(40 * 64)


class Search:
    """The program with the needles of MODEL."""

    def __init__(self, program: Path, folder: Path, model: bytes = MODEL) -> None:
        self.program, self.folder = program, folder
        self.needles = folder / "needles"
        self.needles.write_bytes(choose_blocks(model, 1).needles)

    def run(self, memory: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [self.program, "stream", self.needles, hex(BASE), *words]
        return subprocess.run(command, input=memory, capture_output=True, check=False)

    def scan(self, memory: bytes, *listed: int) -> Scan:
        words = []
        if listed:
            (self.folder / "listed").write_text("".join(f"{address:#x}\n" for address in listed))
            words = [str(self.folder / "listed")]
        done = self.run(memory, *words)
        assert done.returncode == 0, done.stderr
        return read_stream(done.stdout.decode())

    def found(self, memory: bytes) -> int:
        return self.scan(memory).regions["god"].found


@pytest.fixture
def search(attack: Path, tmp_path: Path) -> Search:
    return Search(attack, tmp_path)


def planted(size: int, *places: tuple[int, bytes]) -> bytes:
    memory = bytearray(size)
    for at, what in places:
        memory[at : at + len(what)] = what
    return bytes(memory)


@pytest.mark.parametrize("at", [0, 1, 7, 64, 100, PAGE - 1, PAGE - 63, CHUNK - 1, CHUNK - 64, CHUNK + 3])
def test_everything_is_found_at_any_offset(search: Search, at: int) -> None:
    assert search.found(planted(CHUNK + 4 * PAGE, (at, MODEL))) == 40


def test_it_is_found_at_the_very_end(search: Search) -> None:
    assert search.found(planted(2 * PAGE, (2 * PAGE - len(MODEL), MODEL))) == 40
    assert search.found(planted(CHUNK, (CHUNK - len(MODEL), MODEL))) == 40


def test_parts_count_once_wherever_they_are(search: Search) -> None:
    memory = planted(32 * PAGE, (1000, MODEL[:640]), (9000, MODEL[320:960]), (90_001, MODEL[:64]))
    region = search.scan(memory).regions["god"]
    assert region.found == 15
    assert bytes.fromhex(region.blocks) == b"\xff\x7f\x00\x00\x00"
    assert (region.pages, region.zero) == (32, 29)


def test_half_a_block_or_one_bit_less_is_nothing(search: Search) -> None:
    flipped = bytearray(MODEL)
    for at in range(32, len(flipped), 64):
        flipped[at] ^= 1
    assert search.found(planted(8 * PAGE, (50, bytes(flipped)))) == 0
    assert search.found(planted(8 * PAGE, (0, MODEL[:63]), (8 * PAGE - 63, MODEL[64:127]))) == 0


def test_noise_and_the_needles_themselves_hold_nothing(search: Search) -> None:
    """The program's own memory is searched too: what it brings must not count."""
    assert search.found(noise(8 << 20)) == 0
    needles = search.needles.read_bytes()
    assert search.found(needles + bytes(-len(needles) % PAGE)) == 0


def test_many_needles(attack: Path, tmp_path: Path) -> None:
    model = noise(20_000 * 64)
    memory = noise(3 * PAGE + 5) + model[: 15_000 * 64]
    assert Search(attack, tmp_path, model).found(memory + bytes(-len(memory) % PAGE)) == 15_000


def test_listed_pages_are_told_apart(search: Search) -> None:
    memory = planted(16 * PAGE, (2 * PAGE, MODEL[:1280]), (5 * PAGE, MODEL), (9 * PAGE + 1, MODEL[1280:]))
    scan = search.scan(memory, BASE + 2 * PAGE, BASE + 3 * PAGE)
    assert scan.regions["god"].found == 40
    assert scan.regions["god-listed"].found == 20
    assert scan.whole == ()
    assert search.scan(memory, BASE + 5 * PAGE).whole == (BASE + 5 * PAGE,)


def test_what_is_no_memory_or_no_needles_is_refused(search: Search) -> None:
    assert b"no number" in search.run(b"", "/proc/cpuinfo").stderr
    for bad in (b"", b"ORCHNDL1", b"ORCHNDL1" + bytes(8), search.needles.read_bytes()[:-1], b"x" * 4096):
        search.needles.write_bytes(bad)
        done = search.run(bytes(PAGE))
        assert done.returncode == 1
        assert b"no file of needles" in done.stderr
