# SPDX-License-Identifier: Apache-2.0
"""How the numbers came about."""

from __future__ import annotations

from orchestrator.analysis.bootstrap import FEW_BOOTS, FEW_SAMPLES, RESAMPLES
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Item, Points
from orchestrator.report.section import SectionKind


def build(facts: RunFacts) -> list[Item]:
    """Counting, statistics, verdict."""
    margin = f"{100 * facts.run.info.margin:g} %"
    return [
        Points(
            (
                "Instructions are counted by a plugin of the emulator between markers that the measured program "
                "executes; the cost of an empty pair of markers is subtracted. Nothing is sampled or estimated.",
                "Host, normal VM and realm run the same program on the same inputs. VM and realm differ in nothing but "
                "the world: kernel, initrd, VMM, command line, memory, devices and ID registers are the same.",
                "Warm-ups and rows that are not ok are left out of all statistics, and kept in samples.csv.",
                _intervals(facts),
                f"Verdict: indistinguishable if the ratio's interval lies within {margin} of 1, slower or faster if it "
                "lies wholly beyond, else inconclusive (two one-sided tests by inclusion, each at 2.5 %).",
                "Decompositions are made of means, which add up; ratios are of medians.",
                "samples.csv has every observation; all figures here are computed from it by `orch report`. "
                "docs/analysis.md has formulas and sources, results/README.md the columns.",
            )
        )
    ]


def _intervals(facts: RunFacts) -> str:
    boots = {group.sample.boots for group in facts.groups.values() if group.sample.samples > 1}
    level = "iterations, as there is one boot" if boots == {1} else "boots (over iterations where there is one boot)"
    return (
        "Intervals: 95 %, bias-corrected and accelerated bootstrap (Efron 1987) of medians and of ratios of medians, "
        f"{RESAMPLES:,} replicates; boots are drawn first, then iterations within each; acceleration by a jackknife "
        f"over {level}. They are the same each time they are computed. Where all values are equal, so are the ends; "
        f"one value has no interval; with fewer than {FEW_SAMPLES} values, or fewer than {FEW_BOOTS} boots that "
        "differ, intervals are narrower than they should be."
    )


RECORD = SectionKind("method", "Method", build)
