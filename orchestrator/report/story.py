# SPDX-License-Identifier: Apache-2.0
"""A run's report as a page: a loop over the registered sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.head import status_word, subtitle
from orchestrator.report.model import Page, Section
from orchestrator.report.section import SectionKind, in_order


def tell(facts: RunFacts) -> Page:
    """The page of a run."""
    info = facts.run.info
    return Page(
        title=f"Inference in host, normal VM and realm: {info.name}",
        subtitle=subtitle(info),
        status=status_word(info),
        alarms=tuple(alarms(facts)),
        sections=_sections(facts),
        footer=(
            f"Cite this run as {info.run_id}, revision {info.git.revision or 'unknown'}; the digests of its tables are "
            "under What was run.",
            "Made from the run's folder by `orch report`, the same each time. Licence of code and report: Apache-2.0.",
        ),
    )


def sentences(facts: RunFacts) -> list[str]:
    """What the run found; `orch run` and `orch report` print this."""
    return [sentence for kind in in_order() for sentence in kind.sentences(facts)]


def alarms(facts: RunFacts) -> list[str]:
    """Everything that did not go well, one line each."""
    return [alarm for kind in in_order() for alarm in kind.alarms(facts)]


def _sections(facts: RunFacts) -> tuple[Section, ...]:
    """The sections that have something to show; those of the rest are made when it is known what the others show."""
    kinds = in_order()
    items = {kind.name: kind.build(facts) for kind in kinds if not kind.rest}
    left = _left(facts, [kind for kind in kinds if items.get(kind.name)])
    items |= {kind.name: kind.build(left) for kind in kinds if kind.rest}
    return tuple(Section(kind.name, kind.title, tuple(items[kind.name])) for kind in kinds if items[kind.name])


def _left(facts: RunFacts, shown: Sequence[SectionKind]) -> RunFacts:
    """The facts without what the sections on the page show."""
    summary = [row for row in facts.summary if not any(kind.shows(row.metric, row.phase) for kind in shown)]
    rows = facts.run.privacy
    pairs = zip(rows["attack"], rows["metric"], strict=True)
    free = [not any(kind.attacks(str(attack), str(metric)) for kind in shown) for attack, metric in pairs]
    left = replace(facts.run, privacy=rows.loc[np.array(free, dtype=bool)])
    return replace(facts, summary=tuple(summary), run=left)
