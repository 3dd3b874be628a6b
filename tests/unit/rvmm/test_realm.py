# SPDX-License-Identifier: Apache-2.0
"""What the realm back end decides by: which pages may be shared, which vCPU may be entered; and the log's limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Harness

RAM, PAGE, CHUNK, MIB = 0x4000_0000, 0x1000, 0x1_0000, 1 << 20


def run(harness: Harness, ipa: int, *, given_up: bool) -> list[int]:
    return harness.ask("r_run", ipa, given_up, CHUNK)


# ---- Pages ---------------------------------------------------------------------------------------------------


def test_at_first_nothing_is_given_up(harness: Harness) -> None:
    harness.ask("r_set", 64 * MIB)
    assert run(harness, RAM + 5 * PAGE, given_up=True) == [0]
    assert run(harness, RAM + 5 * PAGE, given_up=False) == [RAM, RAM + CHUNK]
    assert harness.ask("r_has", RAM, PAGE) == [0]


def test_a_page_is_either_shared_or_the_realms(harness: Harness) -> None:
    """A hole of three pages in a chunk: each side brings along its own kind only."""
    harness.ask("r_set", 64 * MIB)
    low, high = RAM + CHUNK + 4 * PAGE, RAM + CHUNK + 7 * PAGE
    harness.ask("r_change", low, high, 1)
    assert run(harness, low + PAGE, given_up=True) == [low, high]
    assert run(harness, low - PAGE, given_up=False) == [RAM + CHUNK, low]
    assert run(harness, high, given_up=False) == [high, RAM + 2 * CHUNK]
    assert run(harness, low, given_up=False) == [0]
    harness.ask("r_change", low + PAGE, low + 2 * PAGE, 0)
    assert run(harness, low, given_up=True) == [low, low + PAGE]
    assert run(harness, low + PAGE, given_up=True) == [0]


@pytest.mark.parametrize(
    ("base", "size", "there"),
    [
        (0, 8, 1),
        (8 * PAGE - 8, 8, 1),
        (8 * PAGE - 8, 9, 0),
        (-8, 16, 0),
        (PAGE, 0, 1),
        (0, (1 << 64) - 1, 0),
        (1 << 40, 8, 0),
    ],
)
def test_bytes_in_a_set(harness: Harness, base: int, size: int, there: int) -> None:
    harness.ask("r_set", 64 * MIB)
    harness.ask("r_change", RAM, RAM + 8 * PAGE, 1)
    assert harness.ask("r_has", RAM + base, size) == [there]


def test_set_ends_with_the_memory(harness: Harness) -> None:
    harness.ask("r_set", 3072 * MIB)
    harness.ask("r_change", 0, 1 << 32, 1)
    assert harness.ask("r_has", RAM, 3072 * MIB) == [1]
    assert run(harness, (1 << 32) - PAGE, given_up=True) == [(1 << 32) - CHUNK, 1 << 32]
    for outside in (RAM - PAGE, 1 << 32, (1 << 64) - PAGE):
        assert run(harness, outside, given_up=True) == run(harness, outside, given_up=False) == [0]
    assert harness.ask("r_shared", 1 << 32) == [1 << 33], "the end of the largest memory, in the shared half"


def test_set_of_odd_size_and_ranges(harness: Harness) -> None:
    """Against a set of Python's, with ranges that cross words."""
    pages = 34 * MIB // PAGE
    harness.ask("r_set", 34 * MIB)
    expected: set[int] = set()
    for i in range(200):
        first, count, there = i * 7919 % pages, i * 37 % 300, i % 3 != 0
        harness.ask("r_change", RAM + first * PAGE, RAM + (first + count) * PAGE, there)
        touched = set(range(first, min(first + count, pages)))
        expected = expected | touched if there else expected - touched
    got = {page for page in range(0, pages, 13) if harness.ask("r_has", RAM + page * PAGE, PAGE) == [1]}
    assert got == {page for page in expected if page % 13 == 0}


# ---- PSCI ----------------------------------------------------------------------------------------------------


def test_start_before_and_after_off(harness: Harness) -> None:
    harness.ask("r_power", 1)
    assert harness.ask("r_check") == [0]
    harness.ask("r_start")
    assert harness.ask("r_check") == [1]
    harness.ask("r_ran")
    harness.ask("r_start")
    assert harness.ask("r_check") == [1], "void: it is on"
    harness.ask("r_off")
    assert harness.ask("r_check") == [0], "and forgotten"


def test_stale_start_is_taken_back(harness: Harness) -> None:
    """CPU_ON was answered with "already on", then the vCPU switched itself off."""
    harness.ask("r_power", 0)
    assert harness.ask("r_check") == [1]
    harness.ask("r_ran")
    harness.ask("r_start")
    harness.ask("r_off")
    assert harness.ask("r_check") == [1]
    assert harness.ask("r_check") == [1], "a signal came first"
    assert harness.ask("r_refused") == [1]
    assert harness.ask("r_check") == [0]
    harness.ask("r_start")
    assert harness.ask("r_check") == [1]
    harness.ask("r_ran")
    assert harness.ask("r_refused") == [0], "one that has run is refused for another reason"


def test_start_during_the_refusal_is_kept(harness: Harness) -> None:
    harness.ask("r_power", 1)
    harness.ask("r_start")
    assert harness.ask("r_check") == [1]
    harness.ask("r_start")
    assert harness.ask("r_refused") == [1]
    assert harness.ask("r_check") == [1]


# ---- The log -------------------------------------------------------------------------------------------------


def test_log_has_an_end(harness: Harness, tmp_path: Path) -> None:
    lines = 17 * MIB // 64
    assert harness.text(f"r_log {lines:x} {tmp_path}") == "0"
    text = (tmp_path / "console.log").read_bytes()
    assert len(text) == 16 * MIB
    assert text.endswith(b"x\nrvmm: console log truncated\n")
    assert text.count(b"rvmm:") == 1


def test_short_log_is_whole(harness: Harness, tmp_path: Path) -> None:
    assert harness.text(f"r_log 3 {tmp_path}") == "0"
    assert (tmp_path / "console.log").read_bytes() == (b"x" * 63 + b"\n") * 3


# ---- Clients -------------------------------------------------------------------------------------------------


def test_a_pass_has_input_of_one_client(harness: Harness, tmp_path: Path) -> None:
    """The first loses its connection by the guest's answer; the second has the keyboard then, and not before."""
    assert harness.text(f"r_typists {tmp_path}").split() == ["1", "1", "0"]
