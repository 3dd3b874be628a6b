# SPDX-License-Identifier: Apache-2.0
"""From what the programs answer to rows of privacy.csv."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import OrchError
from orchestrator.privacy import answers, memory_rows, rows
from orchestrator.privacy.answers import Faults, Region, Scan, Touches
from orchestrator.privacy.blocks import Blocks
from orchestrator.privacy.dma import dma_rows
from orchestrator.privacy.interval import wilson
from orchestrator.privacy.memory_scan import is_rebuilt
from orchestrator.privacy.plain_channel import plain_rows
from orchestrator.schema.samples import PrivacyRow

ABOUT = rows.About("realm2", "cnn", "int8", run_id="run", cell_id="cell", output="topk")
BLOCKS = Blocks(np.arange(16), eligible=20, total=30, needles=b"")


def region(name: str, mask: str) -> Region:
    return Region(name, 10, 5, 1, 0.5, bin(int(mask, 16)).count("1"), mask)


def scan(**masks: str) -> Scan:
    return Scan({name: region(name, mask) for name, mask in masks.items()}, None)


def by_metric(found: list[PrivacyRow]) -> dict[str, PrivacyRow]:
    assert len({row.metric for row in found}) == len(found)
    return {row.metric: row for row in found}


@pytest.mark.parametrize(
    ("successes", "tries", "low", "high"),
    [(0, 2000, 0.0, 0.00192), (2000, 2000, 0.99808, 1.0), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0)],
)
def test_wilson(successes: int, tries: int, low: float, high: float) -> None:
    """Against published values (5 of 10: Brown, Cai, DasGupta) and the limit of 0 of n, z²/(n + z²)."""
    assert wilson(successes, tries) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("successes", "tries"), [(0, 0), (3, 2), (-1, 5)])
def test_no_fraction(successes: int, tries: int) -> None:
    with pytest.raises(ValueError, match="is no fraction"):
        wilson(successes, tries)


def test_recovery_is_what_any_region_gave() -> None:
    found = by_metric(memory_rows.recovery_rows(ABOUT, BLOCKS, scan(ram="00ff", vmm="0ff0", files="0000")))
    assert found["blocks_recovered"].value == 0.75
    assert found["blocks_in_ram"].value == 0.5
    assert found["blocks_in_files"].value == 0
    assert {row.attempted for row in found.values()} == {16}
    assert found["blocks_recovered"].world == "realm"
    assert (found["blocks_recovered"].verdict, found["blocks_recovered"].access) == ("partly", "confidence")


@pytest.mark.parametrize(
    ("mask", "output", "verdict", "access"),
    [
        ("ffff", "label", "recovered", "weights"),
        ("0000", "label", "nothing", "label"),
        ("0000", "scores", "nothing", "logits"),
        ("0000", "top1", "nothing", "confidence"),
        ("0000", None, "nothing", None),
    ],
)
def test_access_is_what_the_host_ends_up_with(mask: str, output: str | None, verdict: str, access: str | None) -> None:
    about = rows.About("vm", "cnn", "float32", output=output)
    row = memory_rows.recovery_rows(about, BLOCKS, scan(ram=mask))[0]
    assert (row.verdict, row.access) == (verdict, access)


def test_controls_are_no_part_of_the_verdict() -> None:
    god = Scan({"god": region("god", "ffff"), "god-listed": region("god-listed", "00ff")}, None)
    found = [
        *memory_rows.god_rows(ABOUT, BLOCKS, god),
        memory_rows.touch_row(ABOUT, Touches("other", 2000, 0, 0, 9000)),
        *plain_rows(ABOUT, BLOCKS, scan(ram="00ff", vmm="00ff")),
    ]
    assert all(row.control and not row.in_verdict for row in found)
    assert by_metric(found[:2])["god_view_in_delegated"].value == 0.5
    touched = memory_rows.touch_row(ABOUT, Touches("delegated", 2000, 1999, 0, 9000))
    assert (touched.metric, touched.value, touched.control, touched.in_verdict) == (
        "delegated_faulted",
        0.9995,
        False,
        True,
    )


def test_where_there_is_nothing_to_search_there_is_no_verdict() -> None:
    vmm = Region("vmm", 0, 0, 0, 0.0, 0, "0000")
    found = by_metric(memory_rows.recovery_rows(ABOUT, BLOCKS, Scan({"ram": region("ram", "ffff"), "vmm": vmm}, None)))
    assert (found["blocks_in_vmm"].status, found["blocks_in_vmm"].in_verdict) == ("skipped", False)
    assert (found["blocks_in_vmm"].value, found["blocks_recovered"].value) == (None, 1)


def test_a_search_whose_control_finds_nothing_says_nothing() -> None:
    found = [
        *memory_rows.recovery_rows(ABOUT, BLOCKS, scan(ram="0000")),
        *memory_rows.rebuilt_rows(ABOUT, 0, False, None),
    ]
    assert memory_rows.judged(found, 0.99) == found
    for row in memory_rows.judged(found, 0.98):
        assert (row.status, row.value, row.verdict, row.access, row.ci_low) == ("failed", None, None, None, None)
        assert row.note is not None
        assert "98.0%" in row.note
        PrivacyRow.model_validate(row.model_dump())


@pytest.mark.parametrize(
    ("attack", "metric", "control", "in_verdict"),
    [
        ("memory-scan", "blocks_recovered", False, True),
        ("plain-channel", "blocks_recovered", True, False),
        ("dma", "pages_overwritten", False, False),
    ],
)
def test_a_failed_attack_counts_as_what_it_would_have_been(
    attack: str, metric: str, control: bool, in_verdict: bool
) -> None:
    row = rows.failed_row(ABOUT, attack, "why")
    assert (row.metric, row.control, row.in_verdict) == (metric, control, in_verdict)
    assert (row.status, row.value, row.note) == ("error", None, "why")


def test_without_a_try_there_is_no_value() -> None:
    row = memory_rows.touch_row(ABOUT, Touches("delegated", 0, 0, 0, 0))
    assert (row.value, row.attempted, row.status) == (None, 0, "skipped")


@pytest.mark.parametrize(("read", "normal", "verdict"), [(0, 0, "equal"), (1, 0, "differs"), (0, 2, "differs")])
def test_fault_sets(read: int, normal: int, verdict: str) -> None:
    row = memory_rows.fault_row(ABOUT, Faults(100, 100, 101, 99, read, normal))
    assert (row.value, row.attempted, row.verdict) == (read + normal, 99, verdict)


def test_dma_is_a_limitation_of_the_emulator() -> None:
    found = by_metric(dma_rows(ABOUT, 2, [True, False], seen=True))
    assert found["pages_overwritten"].value == 1
    assert not any(row.control or row.in_verdict for row in found.values())


def test_rebuilt() -> None:
    one = by_metric(memory_rows.rebuilt_rows(ABOUT, 2, True, (9, 10)))
    assert (one["model_rebuilt"].value, one["model_rebuilt"].access) == (1, "weights")
    assert (one["rebuilt_accuracy"].value, one["rebuilt_accuracy"].attempted) == (0.9, 10)
    none = memory_rows.rebuilt_rows(ABOUT, 0, False, None)
    assert [(row.metric, row.value, row.access) for row in none] == [("model_rebuilt", 0, "confidence")]


@pytest.mark.parametrize(
    ("candidate", "same"),
    [
        (b"model" + bytes(4091), True),
        (b"model", True),
        (b"model" + bytes(4096), False),
        (b"model!" + bytes(4090), False),
        (b"mode", False),
        (b"modem" + bytes(4091), False),
    ],
)
def test_a_rebuilt_file_is_the_model_and_zeros_to_the_end_of_its_page(candidate: bytes, same: bool) -> None:
    assert is_rebuilt(candidate, b"model") is same


def line(event: str, values: Any) -> str:
    return json.dumps({"event": event, **values}) + "\n"


def searched(*names: str) -> str:
    return "".join(line("region", asdict(region(name, "00ff"))) for name in names)


def nothing(name: str) -> str:
    return line("region", asdict(Region(name, 0, 0, 0, 0.0, 0, "0000")))


def test_answers_are_read() -> None:
    faults = Faults(1, 2, 3, 4, 5, 6)
    text = searched("ram", "vmm", "files") + line("faults", asdict(faults))
    regions = {name: region(name, "00ff") for name in ("ram", "vmm", "files")}
    assert answers.read_scan(text, vmm=True) == Scan(regions, faults)
    text = line("whole", {"address": 4096}) + searched("god", "god-listed")
    assert answers.read_stream(text).whole == (4096,)
    touches = Touches("other", 1, 2, 3, 4)
    assert answers.read_touches(line("touch", asdict(touches))) == touches
    carved = line("carved", {"from": "12", "path": "/x", "pages": 3})
    assert answers.read_carved(carved * 2) == [answers.Carved("12", "/x", 3)] * 2


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "ram, vmm, files"),
        (searched("ram", "files"), "vmm"),
        (searched("ram", "vmm"), "files"),
        (nothing("ram") + searched("vmm", "files"), "ram"),
        (nothing("vmm") + searched("ram", "files"), "vmm"),
    ],
)
def test_a_search_that_is_not_complete_says_nothing(text: str, missing: str) -> None:
    text += line("faults", asdict(Faults(1, 2, 3, 4, 5, 6)))
    with pytest.raises(OrchError, match=f"not complete, nothing of: {missing}$"):
        answers.read_scan(text, vmm=True)


def test_the_host_has_no_vmm_to_be_searched() -> None:
    text = nothing("vmm") + searched("ram", "files") + line("faults", asdict(Faults(0, 0, 0, 0, 0, 0)))
    assert answers.read_scan(text, vmm=False).regions["vmm"].pages == 0


@pytest.mark.parametrize("text", [searched("god"), nothing("god") + searched("god-listed")])
def test_a_stream_that_is_not_complete_says_nothing(text: str) -> None:
    with pytest.raises(OrchError, match="not complete, nothing of: god"):
        answers.read_stream(text)


def test_a_line_that_is_not_complete_is_an_error() -> None:
    with pytest.raises(OrchError, match="answer is not complete"):
        answers.read_scan(line("region", {"name": "ram"}), vmm=True)
    with pytest.raises(OrchError, match="answer is not complete"):
        answers.read_touches(line("touch", {"kind": "other"}))


@pytest.mark.parametrize("text", ["Killed\n", '{"pages": 1}\n', "[]\n"])
def test_answers_that_are_none(text: str) -> None:
    with pytest.raises(OrchError, match="no event"):
        answers.read_stream(text)
    with pytest.raises(OrchError, match="did not answer"):
        answers.read_touches("")
