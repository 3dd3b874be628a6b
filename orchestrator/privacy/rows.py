# SPDX-License-Identifier: Apache-2.0
"""What attacks gave, as rows of privacy.csv. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.privacy.blocks import Blocks, union
from orchestrator.privacy.interval import wilson
from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.schema.samples import PrivacyRow
from orchestrator.words import Access, Quantization, Status, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.privacy.answers import Faults, Scan, Touches

SCAN, DMA, PLAIN = "memory-scan", "dma", "plain-channel"
ENOUGH = 0.99  # fraction of blocks from which on the model counts as recovered

# What the owner lets out of an inference gives by itself.
_RELEASED = {
    "scores": Access.LOGITS,
    "topk": Access.CONFIDENCE,
    "top1": Access.CONFIDENCE,
    "label": Access.LABEL,
}


@dataclass(frozen=True)
class About:
    """What rows say of the cell they belong to; `output` is what the runner releases, None if nobody asks."""

    world: str
    model: str
    quantization: str
    run_id: str = "none"
    cell_id: str = "none"
    protection: str = DEFAULT_PROTECTION
    runtime: str = DEFAULT_RUNTIME
    output: str | None = None

    def row(self, attack: str, metric: str, **values: Any) -> PrivacyRow:
        """One row of this cell."""
        return PrivacyRow(
            run_id=self.run_id,
            cell_id=self.cell_id,
            attack=attack,
            world=World(self.world.rstrip("0123456789")),
            protection=self.protection,
            model=self.model,
            quantization=Quantization(self.quantization),
            runtime=self.runtime,
            metric=metric,
            unit="1",
            **values,
        )

    def fraction(self, attack: str, metric: str, successes: int, tries: int, **values: Any) -> PrivacyRow:
        """A row about `successes` of `tries`, with its interval; without a value if there was no try."""
        if tries == 0:
            return self.row(attack, metric, attempted=0, status="skipped", **values)
        low, high = wilson(successes, tries)
        return self.row(attack, metric, value=successes / tries, attempted=tries, ci_low=low, ci_high=high, **values)


def access(about: About, recovered: float) -> Access | None:
    """What the host ends up with: the weights, or what the service releases to those who may ask it."""
    if recovered >= ENOUGH:
        return Access.WEIGHTS
    return _RELEASED.get(about.output or "")


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


def failed_row(about: About, attack: str, why: str) -> PrivacyRow:
    """What is on record of an attack that came to no result, in the place where its result would be."""
    control = attack == PLAIN
    metric = "pages_overwritten" if attack == DMA else "blocks_recovered"
    return about.row(attack, metric, control=control, in_verdict=attack == SCAN, status="error", note=why)


def _word(found: int, count: int) -> str:
    if found == 0:
        return "nothing"
    return "recovered" if found / count >= ENOUGH else "partly"


def god_rows(about: About, blocks: Blocks, scan: Scan) -> list[PrivacyRow]:
    """The control: the same search finds the model where no granule protection is between."""
    note = "the emulator's own view of all memory"
    return [
        about.fraction(
            SCAN, metric, scan.regions[region].found, blocks.count, control=True, in_verdict=False, note=text
        )
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
    control = touches.kind != "delegated"
    return about.fraction(
        SCAN,
        "normal_faulted" if control else "delegated_faulted",
        touches.faulted,
        touches.attempted,
        control=control,
        in_verdict=not control,
        note=f"random pages, a process each; of {touches.delegated} delegated ones"
        if not control
        else "random pages that are not delegated, a process each",
    )


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


def dma_rows(about: About, done: int, overwritten: Sequence[bool], seen: bool) -> list[PrivacyRow]:
    """What a device wrote into the realm: `overwritten` a page each, by the emulator's view; `seen` by itself."""
    note = (
        "emulator: its devices (here fw_cfg) bypass the granule protection checks that a system with CCA applies to "
        "every requester"
    )
    shared = {"attempted": len(overwritten), "in_verdict": False, "note": note}
    return [
        about.row(DMA, "requests_done", value=done, **shared),
        about.row(DMA, "pages_overwritten", value=sum(overwritten), **shared),
        about.row(DMA, "realm_read_it", value=int(seen), **shared),
    ]


def plain_rows(about: About, blocks: Blocks, scan: Scan) -> list[PrivacyRow]:
    """How much of a model that was sent in plain text is found in the host: a control of the search."""
    total = union((region.blocks for region in scan.regions.values()), blocks.count)
    note = "the model sent to the guest over plain TCP through the host, in place of SSH"
    parts = (("blocks_recovered", total), *((f"blocks_in_{name}", each.found) for name, each in scan.regions.items()))
    return [
        about.fraction(PLAIN, metric, found, blocks.count, control=True, in_verdict=False, note=note)
        for metric, found in parts
    ]
