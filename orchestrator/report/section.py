# SPDX-License-Identifier: Apache-2.0
"""The sections of a run's report: one record a section, each in a module of its own, and one line of registration.

A section of yours is a record too (`SECTIONS.add`). What no section shows is shown all the same, in tables that are
the same for every metric (sections/other.py) and every attack (sections/privacy.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.analysis.facts import RunFacts
from orchestrator.errors import UsageError
from orchestrator.registry import Registry
from orchestrator.report.model import Item


def _nothing(_name: str, _of: str) -> bool:
    return False


def _silent(_facts: RunFacts) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class SectionKind:
    """A section: its name in links, its title, what it shows, and how its items are made of a run's facts.

    `build` returns no item where a run has nothing to show; there is no such section then. `shows` says of a (metric,
    phase) of samples.csv, `attacks` of an (attack, metric) of privacy.csv that they have their place in this section.
    `sentences` are what the run found in words, `alarms` what did not go well: both are printed as well.
    The place is that of the registration or, if given, behind the section `after`. One of the `rest` is made of facts
    whose `summary` and `run.privacy` have only what no other section of the page shows.
    """

    name: str
    title: str
    build: Callable[[RunFacts], Sequence[Item]]
    shows: Callable[[str, str], bool] = _nothing
    attacks: Callable[[str, str], bool] = _nothing
    sentences: Callable[[RunFacts], Sequence[str]] = _silent
    alarms: Callable[[RunFacts], Sequence[str]] = _silent
    after: str | None = None
    rest: bool = False


_SECTIONS = "orchestrator.report.sections"
SECTIONS: Registry[SectionKind] = Registry(
    "section",
    {
        "result": f"{_SECTIONS}.result",
        "what": f"{_SECTIONS}.what",
        "attestation": f"{_SECTIONS}.attestation",
        "where": f"{_SECTIONS}.where",
        "exits": f"{_SECTIONS}.exits",
        "law": f"{_SECTIONS}.law",
        "life": f"{_SECTIONS}.life",
        "privacy": f"{_SECTIONS}.privacy",
        "other": f"{_SECTIONS}.other",
        "correctness": f"{_SECTIONS}.correctness",
        "cost": f"{_SECTIONS}.cost",
        "method": f"{_SECTIONS}.method",
        "caveats": f"{_SECTIONS}.caveats",
    },
)
"""All sections, in the order of the page."""


def in_order() -> list[SectionKind]:
    """All registered sections as they stand on the page; raises UsageError for one that stands behind none."""
    found = [each for kind in SECTIONS.values() if kind.after is None for each in _with_followers(kind)]
    for kind in SECTIONS.values():
        if kind not in found:
            raise UsageError(
                f"section '{kind.name}' stands behind '{kind.after}', which is none", hint=", ".join(SECTIONS)
            )
    return found


def _with_followers(kind: SectionKind) -> list[SectionKind]:
    behind = [each for each in SECTIONS.values() if each.after == kind.name]
    return [kind, *(follower for each in behind for follower in _with_followers(each))]
