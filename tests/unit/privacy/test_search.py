# SPDX-License-Identifier: Apache-2.0
"""The search itself, on memory made here: every byte offset, every boundary, nothing that is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from orchestrator.machine.memory import header
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
        """With all of a memory in one piece."""
        return self.run_pieces(header(BASE, len(memory)) + memory + header(BASE + len(memory), 0), *words)

    def run_pieces(self, stream: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [self.program, "stream", self.needles, hex(BASE), *words]
        return subprocess.run(command, input=stream, capture_output=True, check=False)

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


def naive(model: bytes, memory: bytes) -> bytes:
    """Each block that is looked for, by searching for its bytes."""
    offsets = choose_blocks(model, 1).offsets
    bits = np.array([memory.find(model[at : at + 64]) >= 0 for at in offsets])
    return np.packbits(bits, bitorder="little").tobytes()


def weights(rng: np.random.Generator, count: int) -> bytes:
    """int8 weights of a few values, whose words of eight bytes are met in other places, too."""
    return np.clip(rng.normal(0, 4, count).round(), -127, 127).astype(np.int8).tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_found_is_what_is_there(attack: Path, tmp_path: Path, seed: int) -> None:
    """Pieces of the model anywhere, over each other, in memory that resembles it: none is lost, none too many."""
    rng = np.random.default_rng(seed)
    model = weights(rng, 30_000) if seed % 2 else rng.integers(0, 256, 30_000, np.uint8).tobytes()
    memory = bytearray(weights(rng, 2 * CHUNK + 8 * PAGE))
    for _ in range(120):
        begin, size = int(rng.integers(len(model))), int(rng.integers(1, 900))
        piece = model[begin : begin + size]
        at = int(rng.integers(len(memory) - len(piece)))
        memory[at : at + len(piece)] = piece
    for page in rng.integers(0, len(memory) // PAGE, 60):
        memory[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    found = Search(attack, tmp_path, model).scan(bytes(memory)).regions["god"]
    expected = naive(model, bytes(memory))
    assert bytes.fromhex(found.blocks) == expected
    assert 0 < found.found < choose_blocks(model, 1).count


def test_blocks_that_share_all_words_but_one_are_told_apart(attack: Path, tmp_path: Path) -> None:
    """They are all looked up by words of the same key where that cannot be helped."""
    same = noise(48)
    model = b"".join(noise(8) + same + noise(8) for _ in range(300))
    memory = b"xyz" + model[64 * 100 : 64 * 200] + bytes(PAGE)
    found = Search(attack, tmp_path, model).scan(memory[: len(memory) // PAGE * PAGE]).regions["god"]
    assert bytes.fromhex(found.blocks) == naive(model, memory)
    assert found.found == 100


def test_noise_and_the_needles_themselves_hold_nothing(search: Search) -> None:
    """The program's own memory is searched too: what it brings must not count."""
    assert search.found(noise(8 << 20)) == 0
    needles = search.needles.read_bytes()
    assert search.found(needles + bytes(-len(needles) % PAGE)) == 0


def test_many_needles(attack: Path, tmp_path: Path) -> None:
    model = noise(20_000 * 64)
    memory = noise(3 * PAGE + 5) + model[: 15_000 * 64]
    assert Search(attack, tmp_path, model).found(memory + bytes(-len(memory) % PAGE)) == 15_000


def sparse(memory: bytes, cuts: int, rng: np.random.Generator) -> bytes:
    """The memory in pieces without its pages of zeros, some of which are there all the same; and cut anywhere."""
    stream, page = b"", 0
    while page < len(memory) // PAGE:
        size = int(rng.integers(1, cuts))
        piece = memory[page * PAGE : (page + size) * PAGE]
        if any(piece) or rng.random() < 0.2:
            stream += header(BASE + page * PAGE, len(piece)) + piece
        page += size
    return stream + header(BASE + len(memory), 0)


@pytest.mark.parametrize("cuts", [2, 4, 300])
def test_memory_that_comes_in_pieces_is_as_if_in_one(search: Search, cuts: int) -> None:
    """A file over borders of pieces, up to the last byte before what is left out, and into it with its last zeros."""
    rng = np.random.default_rng(cuts)
    tail = MODEL[:40] + bytes(24)  # a block with 24 zeros at its end
    model = MODEL + tail
    Search(search.program, search.folder, model)
    places = [
        (5 * PAGE + 100, model),
        (40 * PAGE - len(model), model),
        (61 * PAGE - 40, tail[:40]),
        (700 * PAGE, model),
    ]
    memory = planted(800 * PAGE, *places)
    whole, parts = search.run(memory), search.run_pieces(sparse(memory, cuts, rng))
    found = [read_stream(done.stdout.decode()).regions["god"] for done in (whole, parts)]
    assert found[0].found == choose_blocks(model, 1).count
    assert [(each.blocks, each.pages, each.zero) for each in found] == [(found[0].blocks, 800, found[0].zero)] * 2


def test_a_block_that_ends_in_what_is_left_out_is_found(search: Search) -> None:
    model = MODEL[:40] + bytes(24)
    Search(search.program, search.folder, model)
    page = bytes(PAGE - 40) + model[:40]
    done = search.run_pieces(header(BASE, PAGE) + page + header(BASE + 9 * PAGE, 0))
    god = read_stream(done.stdout.decode()).regions["god"]
    assert (god.found, god.pages, god.zero) == (1, 9, 8)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"", b"the memory ends without a word"),
        (header(BASE, PAGE) + bytes(PAGE), b"the memory ends without a word"),
        (header(BASE, 2 * PAGE) + bytes(PAGE), b"the memory ends in the middle of a piece"),
        (header(BASE + 1, 0), b"0x40000001: memory that is no next piece"),
        (header(BASE, 100), b"0x40000000: memory that is no next piece"),
        (header(BASE - PAGE, 0), b"0x3ffff000: memory that is no next piece"),
        (header(BASE, PAGE) + bytes(PAGE) + header(BASE, 0), b"0x40000000: memory that is no next piece"),
    ],
)
def test_memory_that_is_not_whole_is_refused(search: Search, stream: bytes, said: bytes) -> None:
    """A search that has not seen all of it must not say that something was not there."""
    done = search.run_pieces(stream)
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in done.stderr


def test_listed_pages_are_told_apart(search: Search) -> None:
    memory = planted(16 * PAGE, (2 * PAGE, MODEL[:1280]), (5 * PAGE, MODEL), (9 * PAGE + 1, MODEL[1280:]))
    scan = search.scan(memory, BASE + 2 * PAGE, BASE + 3 * PAGE)
    assert scan.regions["god"].found == 40
    assert scan.regions["god-listed"].found == 20
    assert scan.whole == ()
    assert search.scan(memory, BASE + 5 * PAGE).whole == (BASE + 5 * PAGE,)


def test_what_is_no_memory_or_no_needles_is_refused(search: Search) -> None:
    assert b"no number" in search.run(b"", "/proc/cpuinfo").stderr
    good = search.needles.read_bytes()
    misplaced = good[:-1] + bytes([57])  # a word that ends behind its block
    for bad in (b"", b"ORCHNDL2", b"ORCHNDL2" + bytes(8), good[:-1], misplaced, b"x" * 4096):
        search.needles.write_bytes(bad)
        done = search.run(bytes(PAGE))
        assert done.returncode == 1
        assert b"no file of needles" in done.stderr
