# SPDX-License-Identifier: Apache-2.0
"""What the numbers do not say."""

from __future__ import annotations

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Item, Points
from orchestrator.report.section import SectionKind


def _trust(facts: RunFacts) -> str:
    """What rests on cryptography in this run."""
    keys = "Firmware and monitor run with public test keys: whoever runs a host can make such a token. "
    if facts.run.proofs:
        return keys + "What realms proved is what an honest monitor would say of them, and no more."
    return keys + "Nothing here was attested: a realm's SSH host key was taken from its console, which hosts can forge."


def _monitor(facts: RunFacts) -> str:
    """Which monitor is at R-EL2."""
    given = (facts.run.info.testbed.get("stack") or {}).get("rmm")
    if not given:
        return "The monitor at R-EL2 is this testbed's own, smaller than TF-RMM"
    digest = facts.run.info.artifacts.get("stack.rmm", "unknown")
    return (
        f"The monitor at R-EL2 is {given} (SHA-256 {digest}), which the testbed file names and this testbed is not "
        "tested with"
    )


def build(facts: RunFacts) -> list[Item]:
    """Limits of what was measured."""
    points = [
        "The emulator executes instructions and does not model caches, pipelines or time. Counts are no cycles, and no "
        "latency or energy follows from them.",
        "The overhead depends on the ticks, since ticks cause exits. With icount, virtual time follows the "
        "instructions (2^shift ns each), so that a figure holds for its shift and tick rates only.",
        f"{_monitor(facts)}; published figures come from another emulator, monitor and kernel, and only ratios and "
        "orders of magnitude are comparable.",
        _trust(facts),
        "Inputs and released outputs pass through the host in the clear.",
    ]
    if not facts.run.privacy.empty:
        points.append(
            "Emulated devices do not pass through granule checks (row `dma`, if there is one): a limitation of the "
            "emulator, not of CCA, hence outside the verdict. A scan that finds nothing shows what it searched, and no "
            "more; side channels were not looked at."
        )
    if any(cell.trained is False for cell in facts.run.info.cells):
        points.append(
            "Models marked as architecture only have no trained weights: their answers mean nothing, their cost does."
        )
    if any(cell.icount_shift is None for cell in facts.cells):
        points.append(
            "In real time (no icount) ticks follow the build computer's clock, so that a slow emulator inflates the "
            "shares of kernel and monitor."
        )
    return [Points(tuple(points))]


RECORD = SectionKind("caveats", "Caveats", build)
