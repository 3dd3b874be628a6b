# SPDX-License-Identifier: Apache-2.0
"""The tables of the data dictionary (results/README.md), from the vocabulary and the schema as they are now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.analysis.compare import COMPARE
from orchestrator.analysis.history import HISTORY
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.schema.csvtable import Column, Kind, Table
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY
from orchestrator.words import METRICS, PHASES, VMM_SEES, Component, Method, Owner, Phase

_SAME = "as in "
_NONE = "\u2013"
# Who executes where, from the plugin's worlds and exception levels: in the realm's cell, the VM's and the host's.
_PLACES: Mapping[str, tuple[str, str, str]] = {
    Component.ALL: ("the sum of what follows", "the same", "the same"),
    Component.GUEST_USER: ("realm, EL0", "non-secure, EL0", "non-secure, EL0 of the host"),
    Component.GUEST_KERNEL: ("realm, EL1", "non-secure, EL1", _NONE),
    Component.RMM: ("realm, EL2", "the same (0)", "the same (0)"),
    Component.EL3: ("root, EL3", "the same", "the same"),
    Component.HOST_KERNEL: ("non-secure, EL2", "the same", "the same"),
    Component.VMM: ("non-secure, EL0 of the host", "the same", _NONE),
}


def dictionary() -> str:
    """All tables, each below its heading, as Markdown."""
    return "\n\n".join(f"{heading}\n\n{table()}" for heading, table in _TABLES.items()) + "\n"


def filled(text: str) -> str:
    """The dictionary for people with the tables of today: the first table below each heading is replaced.

    Raises UsageError if a heading or its table is not there.
    """
    for heading, table in _TABLES.items():
        # A section ends where one of its own level or above begins.
        found = re.search(rf"(?ms)^{re.escape(heading)}\n(?:(?!^#).)*?(^\|(?:[^\n]*\n\|)*[^\n]*\n)", text)
        if found is None:
            raise UsageError(f"no table below '{heading}'", hint="results/README.md has one for each heading")
        text = f"{text[: found.start(1)]}{table()}\n{text[found.end(1) :]}"
    return text


def update(path: Path) -> None:
    """Bring the dictionary for people up to date."""
    replace_file(path, filled(path.read_text(encoding="utf-8")))


def _columns(table: Table[Any]) -> str:
    rows = ((f"`{each.name}`", each.kind, "yes" if each.optional else "no", _meaning(each)) for each in table.columns)
    return _table(("column", "type", "empty", "meaning"), rows)


def _meaning(column: Column) -> str:
    """What a column holds, with its words where they are few; one that another table explains refers to that."""
    if not column.meaning:
        home = next((table for table in (SAMPLES, SUMMARY) if column.name in table.names), None)
        if home is None:
            raise UsageError(f"column '{column.name}' has no description")
        return f"{_SAME}{home.name}"
    told = column.kind is Kind.TEXT and column.allowed and not column.meaning.startswith(_SAME)
    return f"{column.meaning}: {_words(column.allowed)}" if told else column.meaning


def _phases() -> str:
    once = {Owner.GUEST: "guest", Owner.STEP: "step", Owner.REQUEST: "request"}

    def row(phase: Phase) -> tuple[str, ...]:
        each = "iteration" if phase.repeats else once[phase.owner]
        return f"`{phase}`", str(phase.event), each, "yes" if phase.in_total else "no", phase.meaning

    return _table(("phase", "marker", "once a", "in load + one inference", "meaning"), map(row, PHASES.values()))


def _metrics() -> str:
    def units(known: Mapping[Method, str]) -> str:
        return ", ".join(f"`{unit}` {method}" for method, unit in known.items())

    rows = [(f"`{metric.name}`", units(metric.units), metric.meaning) for metric in METRICS.values()]
    reasons = (
        "how often the guest came back to its VMM for that reason around one execution of the runner: loading and "
        f"warm-ups included, though the phase is `infer`. Of a normal VM only {_words(sorted(VMM_SEES))} are seen "
        "there: KVM settles the others in the kernel, and 0 says nothing"
    )
    rows.append(("`exits_<reason>`", units({Method.PROCFS: "1"}), reasons))
    return _table(("metric", "unit and method", "meaning"), rows)


def _components() -> str:
    rows = ((f"`{each}`", *_PLACES.get(each, (each.label, _NONE, _NONE))) for each in Component)
    return _table(("component", "in the realm's cell", "in the VM's cell", "in the host's cell"), rows)


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(headings: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    above = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return "\n".join([*above, *(f"| {' | '.join(row)} |" for row in rows)])


_TABLES: Mapping[str, Callable[[], str]] = {
    **{f"### {table.name}": partial(_columns, table) for table in (SAMPLES, SUMMARY, PRIVACY, COMPARE, HISTORY)},
    "## Phases": _phases,
    "## Metrics": _metrics,
    "## Components": _components,
}
