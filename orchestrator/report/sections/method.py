# SPDX-License-Identifier: Apache-2.0
"""How the numbers came about."""

from __future__ import annotations

from orchestrator.analysis.bootstrap import RESAMPLES
from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.facts import RunFacts
from orchestrator.analysis.ticks import FEWEST
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
                f"Estimator {ESTIMATOR}: an overhead is total work, the sum over all inferences of the realm over that "
                "of the normal VM, of the boots and iterations that both have. Most inferences of a small model meet "
                "no tick, and a ratio of medians would say what happens when nothing happens. Medians and quartiles "
                "are shown as a description. Figures of another estimator are not to be compared with these.",
                _intervals(facts),
                f"Verdict: indistinguishable if the ratio's interval lies within {margin} of 1, slower or faster if it "
                "lies wholly beyond, else inconclusive (two one-sided tests by inclusion, each at 2.5 %). Too few "
                f"ticks: fewer than {FEWEST:g} of the rarer kind were to be expected in all that was sampled.",
                "Decompositions are made of the same sums, and add up to the overhead.",
                "samples.csv has every observation; all figures here are computed from it by `orch report`. "
                "docs/analysis.md has formulas and sources, results/README.md the columns.",
            )
        )
    ]


def _intervals(facts: RunFacts) -> str:
    boots = {group.series.boot_count for group in facts.groups.values() if len(group.series.values) > 1}
    level = "blocks, as there is one boot" if boots == {1} else "boots (over blocks where there is one boot)"
    return (
        f"Intervals: 95 %, bias-corrected and accelerated bootstrap (Efron 1987), {RESAMPLES:,} replicates. Boots are "
        "drawn first, those of realm and VM together; then blocks of iterations within each, at least as long as the "
        "rarer tick's period. What boots differ by is widened as few boots need it (Student's t). Acceleration by a "
        f"jackknife over {level}. They are the same each time they are computed. Of one boot they cover other "
        "stretches of its time, and not other boots. Where nothing varies, both ends are the estimate; where there is "
        "nothing to resample, there is no interval."
    )


RECORD = SectionKind("method", "Method", build)
