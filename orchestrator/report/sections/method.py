# SPDX-License-Identifier: Apache-2.0
"""How the numbers came about, and what they do not say."""

from __future__ import annotations

from orchestrator.analysis.bootstrap import FEW_BOOTS, FEW_SAMPLES, RESAMPLES
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Points, Section


def method(facts: RunFacts) -> Section:
    """Counting, statistics, verdict."""
    margin = f"{100 * facts.run.info.margin:g} %"
    boots = {group.sample.boots for group in facts.groups.values() if group.sample.samples > 1}
    level = "iterations, as there is one boot" if boots == {1} else "boots (over iterations where there is one boot)"
    return Section(
        "method",
        "Method",
        (
            Points(
                (
                    "Instructions are counted by a plugin of the emulator between markers that the measured program "
                    "executes; the "
                    "cost of an empty pair of markers is subtracted. Nothing is sampled or estimated.",
                    "Host, normal VM and realm run the same program on the same inputs. VM and realm differ in nothing "
                    "but the "
                    "world: kernel, initrd, VMM, command line, memory, devices and ID registers are the same.",
                    "Warm-ups and rows that are not ok are left out of all statistics, and kept in samples.csv.",
                    "Intervals: 95 %, bias-corrected and accelerated bootstrap (Efron 1987) of medians and of ratios "
                    "of medians, "
                    f"{RESAMPLES:,} replicates; boots are drawn first, then iterations within each; acceleration by a "
                    "jackknife "
                    f"over {level}. They are the same each time they are computed. Where all values are equal, so are "
                    "the ends; "
                    f"one value has no interval; with fewer than {FEW_SAMPLES} values, or fewer than {FEW_BOOTS} boots "
                    "that differ, "
                    "intervals are narrower than they should be.",
                    f"Verdict: indistinguishable if the ratio's interval lies within {margin} of 1, slower or faster "
                    "if it lies wholly "
                    "beyond, else inconclusive (two one-sided tests by inclusion, each at 2.5 %).",
                    "Decompositions are made of means, which add up; ratios are of medians.",
                    "samples.csv has every observation; all figures here are computed from it by `orch report`. "
                    "docs/analysis.md "
                    "has formulas and sources, results/README.md the columns.",
                )
            ),
        ),
    )


def caveats(facts: RunFacts) -> Section:
    """Limits of what was measured."""
    points = [
        "The emulator executes instructions and does not model caches, pipelines or time. Counts are no cycles, and no "
        "latency or "
        "energy follows from them.",
        "The overhead depends on the ticks, since ticks cause exits. With icount, virtual time follows the "
        "instructions (2^shift ns "
        "each), so that a figure holds for its shift and tick rates only.",
        "The monitor at R-EL2 is this testbed's own, smaller than TF-RMM; published figures come from another "
        "emulator, monitor "
        "and kernel, and only ratios and orders of magnitude are comparable.",
        "Firmware and monitor run with test keys, and nothing here was attested: no claim about who runs where rests "
        "on "
        "cryptography. A realm's SSH host key was taken from its console, which the host could forge.",
        "Inputs and released outputs pass through the host in the clear.",
    ]
    if not facts.run.privacy.empty:
        points.append(
            "Emulated devices do not pass through granule checks (row `dma`, if there is one): a limitation of the "
            "emulator, "
            "not of CCA, hence outside the verdict. A scan that finds nothing shows what it searched, and no more; "
            "side channels "
            "were not looked at."
        )
    if any(cell.trained is False for cell in facts.run.info.cells):
        points.append(
            "Models marked as architecture only have no trained weights: their answers mean nothing, their cost does."
        )
    if any(cell.icount_shift is None for cell in facts.cells):
        points.append(
            "In real time (no icount) ticks follow the build computer's clock, so that a slow emulator inflates the "
            "shares of "
            "kernel and monitor."
        )
    return Section("caveats", "Caveats", (Points(tuple(points)),))
