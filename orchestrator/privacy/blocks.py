# SPDX-License-Identifier: Apache-2.0
"""What a search looks for: distinct blocks of a model, as digests, so that the search does not bring the model along.

The layout of the file and the digest are those of guest/host/attack/needles.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BLOCK_BYTES = 64
MAX_BLOCKS = 1 << 16  # of one search; more make the search in the emulated host slow and the fraction no better
MIN_ENTROPY = 3.0  # bits a byte, of 6 that 64 bytes can show: padding, tables of offsets and names have less
MAX_TEXT = 0.8  # share of bytes that could be text; random bytes have 0.37
MIN_KEY_VALUES = 5  # different bytes among the first eight, by which a block is looked up
_MAGIC = b"ORCHNDL1"
_KEY = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0xFF51AFD7ED558CCD)
_WORDS = BLOCK_BYTES // 8


@dataclass(frozen=True)
class Blocks:
    """Blocks of a file that a search looks for."""

    offsets: NDArray[np.int64]  # bytes from the beginning of the file, ascending
    eligible: int  # distinct blocks with enough in them, of which `offsets` are all, or a random sample
    total: int  # whole blocks of the file
    needles: bytes  # the file for the search

    @property
    def count(self) -> int:
        """How many blocks are looked for."""
        return len(self.offsets)


def choose_blocks(data: bytes, seed: int, limit: int = MAX_BLOCKS) -> Blocks:
    """The blocks of a file that tell it from everything else; raises UsageError if it has none.

    Non-overlapping blocks of 64 bytes that occur once, are neither padding nor text, and whose first eight bytes occur
    once among them. Of more than `limit` a random sample by `seed`.
    """
    blocks = np.frombuffer(data, np.uint8, len(data) // BLOCK_BYTES * BLOCK_BYTES).reshape(-1, BLOCK_BYTES)
    telling = np.flatnonzero(_is_telling(blocks))
    words = blocks[telling].view("<u8")
    # Blocks that occur once, then those of them whose first word does.
    once = _occur_once(words.view(f"V{BLOCK_BYTES}").ravel())
    telling, words = telling[once], words[once]
    once = _occur_once(words[:, 0]) if len(words) else once[:0]
    telling, words = telling[once], words[once]
    if not len(telling):
        raise UsageError("the file has no block of 64 bytes that tells it from other data: nothing can be looked for")
    eligible = len(telling)
    if eligible > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(eligible, limit, replace=False))
        telling, words = telling[chosen], words[chosen]
    return Blocks(telling.astype(np.int64) * BLOCK_BYTES, eligible, len(blocks), _needle_file(words))


def _is_telling(blocks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each row (N x 64) has enough in it to be met nowhere else by chance."""
    rows = np.sort(blocks, axis=1)
    # Runs of equal bytes: their lengths give Shannon's entropy of a row.
    edge = np.ones((len(rows), BLOCK_BYTES + 1), np.bool_)
    edge[:, 1:-1] = rows[:, 1:] != rows[:, :-1]
    row, column = np.nonzero(edge)
    lengths = np.diff(column)
    within = lengths > 0
    share = lengths[within] / BLOCK_BYTES
    entropy = np.bincount(row[:-1][within], -share * np.log2(share), len(rows))
    text = ((blocks == 0) | ((blocks >= 0x20) & (blocks < 0x7F))).mean(axis=1) if len(blocks) else entropy
    first = np.sort(blocks[:, :8], axis=1)
    values = 1 + (first[:, 1:] != first[:, :-1]).sum(axis=1)
    telling: NDArray[np.bool_] = (entropy >= MIN_ENTROPY) & (text <= MAX_TEXT) & (values >= MIN_KEY_VALUES)
    return telling


def _occur_once(values: NDArray[np.void] | NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each value is there once."""
    if not len(values):
        return np.zeros(0, np.bool_)
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    once: NDArray[np.bool_] = counts[where.ravel()] == 1
    return once


def _needle_file(words: NDArray[np.uint64]) -> bytes:
    """Key and digest of each row of eight words."""
    digest = np.zeros(len(words), np.uint64)
    for i in range(_WORDS):
        digest = (digest ^ words[:, i]) * _PRIME
        digest ^= digest >> np.uint64(29)
    keys = words[:, 0] * _KEY
    return _MAGIC + len(words).to_bytes(8, "little") + np.column_stack((keys, digest)).astype("<u8").tobytes()


def union(masks: Iterable[str], count: int) -> int:
    """How many of `count` blocks are in one of the masks (hexadecimal, bit 0 of the first byte is block 0)."""
    seen = np.zeros((count + 7) // 8, np.uint8)
    for mask in masks:
        seen |= np.frombuffer(bytes.fromhex(mask), np.uint8)
    return int(np.unpackbits(seen, bitorder="little")[:count].sum())
