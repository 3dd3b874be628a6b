# SPDX-License-Identifier: Apache-2.0
"""A run's report as a page: which sections there are, and in which order."""

from __future__ import annotations

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Page
from orchestrator.report.sections import correctness, exits, headline, life, method, overhead, privacy, provenance


def tell(facts: RunFacts) -> Page:
    """The page of a run."""
    info = facts.run.info
    sections = (
        headline.section(facts),
        provenance.what_was_run(facts),
        overhead.section(facts),
        exits.section(facts),
        life.section(facts),
        privacy.section(facts),
        correctness.section(facts),
        provenance.harness(facts),
        method.method(facts),
        method.caveats(facts),
    )
    return Page(
        title=f"Inference in host, normal VM and realm: {info.name}",
        subtitle=provenance.subtitle(info),
        status=provenance.status_word(info),
        alarms=tuple(provenance.alarms(facts)),
        sections=tuple(section for section in sections if section is not None),
        footer=(
            f"Cite this run as {info.run_id}, revision {info.git.revision or 'unknown'}; the digests of its tables are "
            "under "
            "What was run.",
            "Made from the run's folder by `orch report`, the same each time. Licence of code and report: Apache-2.0.",
        ),
    )
