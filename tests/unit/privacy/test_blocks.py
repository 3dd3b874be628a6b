# SPDX-License-Identifier: Apache-2.0
"""What is looked for: which blocks of a file, and what the search's file says of them."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.errors import UsageError
from orchestrator.privacy.blocks import BLOCK_BYTES, choose_blocks, union

RANDOM = np.random.default_rng(7)


def noise(count: int) -> bytes:
    return RANDOM.integers(0, 256, count, np.uint8).tobytes()


def offsets(data: bytes, **options: int) -> list[int]:
    return [int(offset) for offset in choose_blocks(data, 1, **options).offsets]


def test_all_blocks_of_noise_count() -> None:
    blocks = choose_blocks(noise(100 * BLOCK_BYTES + 63), 1)
    assert (blocks.count, blocks.eligible, blocks.total) == (100, 100, 100)
    assert list(blocks.offsets) == [64 * i for i in range(100)]
    assert blocks.needles[:16] == b"ORCHNDL1" + (100).to_bytes(8, "little")
    assert len(blocks.needles) == 16 + 100 * 16


def test_the_file_for_the_search_holds_nothing_of_the_model() -> None:
    """Not even the eight bytes by which a block is looked up."""
    data = noise(50 * BLOCK_BYTES)
    needles = choose_blocks(data, 1).needles
    assert not any(data[at : at + 8] in needles for at in range(0, len(data), 8))


def test_blocks_that_occur_anywhere_are_left_out() -> None:
    text = b"MobilenetV1/MobilenetV1/Conv2d_0/weights_quant/FakeQuantWithMinM"
    ramp = bytes(i % 6 for i in range(64))  # 2.58 bits a byte
    twice = noise(64)
    parts = [noise(64), bytes(64), text, twice, noise(64), ramp, twice, b"\x00" * 8 + noise(56), noise(64)]
    assert offsets(b"".join(parts)) == [0, 4 * 64, 8 * 64]


def test_of_blocks_with_the_same_beginning_none_is_looked_for() -> None:
    begin = noise(8)
    assert offsets(begin + noise(56) + noise(64) + begin + noise(56)) == [64]


def test_quantized_weights_count() -> None:
    """int8 weights around zero, with a standard deviation of 12 steps."""
    weights = np.clip(RANDOM.normal(0, 12, 64 * 1000).round(), -127, 127).astype(np.int8).tobytes()
    assert choose_blocks(weights, 1).count > 950


def test_more_than_the_limit_are_drawn_by_the_seed() -> None:
    data = noise(500 * BLOCK_BYTES)
    first, again, other = (choose_blocks(data, seed, limit=100) for seed in (1, 1, 2))
    assert first.needles == again.needles != other.needles
    assert (first.count, first.eligible) == (100, 500)
    assert len(set(first.offsets)) == 100
    assert sorted(first.offsets) == list(first.offsets)


@pytest.mark.parametrize("data", [b"", b"short", bytes(4096), b"a" * 4096])
def test_a_file_without_such_blocks_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="no block of 64 bytes"):
        choose_blocks(data, 1)


def test_union_counts_a_block_once() -> None:
    assert union(["0100", "0102", "0000"], 10) == 2
    assert union([], 10) == 0
    assert union(["ffff"], 10) == 10  # bits behind the last block are none
