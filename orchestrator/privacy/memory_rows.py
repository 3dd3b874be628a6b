# SPDX-License-Identifier: Apache-2.0
"""What attack `memory-scan` gave, as rows of privacy.csv. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.privacy.blocks import Blocks, union
from orchestrator.privacy.rows import ENOUGH, access
from orchestrator.words import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.privacy.answers import Faults, Scan, Touches
    from orchestrator.privacy.rows import About
    from orchestrator.schema.samples import PrivacyRow

SCAN = "memory-scan"


def recovery_rows(about: About, blocks: Blocks, scan: Scan) -> list[PrivacyRow]:
    """How much of the model the host can read, in all and by where it was read."""
    total = union((region.blocks for region in scan.regions.values()), blocks.count)
    gained = access(about, total / blocks.count)
    rows = [
        about.fraction(
            SCAN,
            "blocks_recovered",
            total,
            blocks.count,
            access=gained,
            verdict=_word(total, blocks.count),
            note=f"distinct blocks of 64 bytes: {blocks.count} of {blocks.eligible} looked for",
        )
    ]
    for region in scan.regions.values():
        if region.pages == 0:  # the host itself has no VMM
            rows.append(
                about.row(
                    SCAN, f"blocks_in_{region.name}", status="skipped", in_verdict=False, note="nothing to search"
                )
            )
            continue
        note = f"{region.pages} pages in {region.seconds:.1f} s, {region.zero} zero, {region.faulted} not readable"
        rows.append(about.fraction(SCAN, f"blocks_in_{region.name}", region.found, blocks.count, note=note))
    return rows


def judged(rows: Sequence[PrivacyRow], god_view: float) -> list[PrivacyRow]:
    """The rows of a search, when its control is known: if that does not find the model either, they say nothing."""
    if god_view >= ENOUGH:
        return list(rows)
    why = f"no verdict: the emulator's own view has {god_view:.1%} of what was looked for"
    nothing = {"status": Status.FAILED, "value": None, "ci_low": None, "ci_high": None, "verdict": None, "access": None}
    return [
        row.model_copy(update=nothing | {"note": f"{why}; found: {row.value}"}) if row.status is Status.OK else row
        for row in rows
    ]


def _word(found: int, count: int) -> str:
    if found == 0:
        return "nothing"
    return "recovered" if found / count >= ENOUGH else "partly"


def god_rows(about: About, blocks: Blocks, scan: Scan) -> list[PrivacyRow]:
    """The control: the same search finds the model where no granule protection is between."""
    note = "the emulator's own view of all memory"
    return [
        about.fraction(SCAN, metric, scan.regions[region].found, blocks.count, note=text)
        for region, metric, text in (
            ("god", "god_view_recovered", note),
            ("god-listed", "god_view_in_delegated", f"{note}; blocks that begin in a delegated page"),
        )
        if region == "god" or scan.regions[region].pages
    ]


def fault_row(about: About, faults: Faults) -> PrivacyRow:
    """Whether what faults is what was delegated, page by page."""
    equal = faults.differing == 0
    return about.row(
        SCAN,
        "fault_set_difference",
        value=faults.differing,
        attempted=faults.stable,
        verdict="equal" if equal else "differs",
        note=f"{faults.faulted} pages faulted; delegated: {faults.delegated_before} before, {faults.delegated_after} "
        f"after; read though delegated {faults.delegated_but_read}, faulted though normal {faults.faulted_but_normal}",
    )


def touch_row(about: About, touches: Touches) -> PrivacyRow:
    """The fraction of random pages whose touch is a fault; of normal ones as a control."""
    if touches.kind == "delegated":
        metric, note = "delegated_faulted", f"random pages, a process each; of {touches.delegated} delegated ones"
    else:
        metric, note = "normal_faulted", "random pages that are not delegated, a process each"
    return about.fraction(SCAN, metric, touches.faulted, touches.attempted, note=note)


def rebuilt_rows(about: About, candidates: int, identical: bool, accuracy: tuple[int, int] | None) -> list[PrivacyRow]:
    """Whether a file rebuilt from memory alone is the deployed model; right answers of how many inputs, if tried."""
    rows = [
        about.row(
            SCAN,
            "model_rebuilt",
            value=int(identical),
            attempted=candidates,
            access=access(about, float(identical)),
            verdict="rebuilt" if identical else "not rebuilt",
            note="put together from memory, knowing only a flatbuffer's identifier; compared with the deployed file",
        )
    ]
    if accuracy is not None:
        rows.append(about.fraction(SCAN, "rebuilt_accuracy", *accuracy))
    return rows
