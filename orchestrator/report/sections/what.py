# SPDX-License-Identifier: Apache-2.0
"""What was run, with what and where."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Facts, Grid, Heading, Item, Paragraph, Word
from orchestrator.report.section import SectionKind
from orchestrator.report.sections.step_alarms import step_alarms
from orchestrator.report.wording import NONE, TIMES, plural, whole
from orchestrator.schema.samples import PRIVACY, SAMPLES
from orchestrator.words import Status


def build(facts: RunFacts) -> list[Item]:
    """Matrix, machine, checkout, models' files, artifacts, tools, data."""
    info = facts.run.info
    items: list[Item] = []
    if info.summary:
        items.append(Paragraph(info.summary))
    items += [Facts(tuple(_facts(facts))), _cells(facts)]
    files = {
        (f"{cell.model} {cell.quantization}", whole(cell.model_bytes), cell.model_sha256)
        for cell in info.cells
        if cell.model_sha256
    }
    if files:
        headings = (Heading("Model", numeric=False), Heading("Bytes"), Heading("SHA-256", numeric=False))
        items.append(Grid("Files of the models", headings, tuple(sorted(files)), folded=True))
    key = "Key (SHA-256 of recipe, inputs and tools)"
    tools = [(name, version or NONE) for name, version in sorted(info.tools.items())]
    items += _pairs("Artifacts that the run was made of", ("Artifact", key), sorted(info.artifacts.items()))
    items += _pairs("Tools", ("Tool", "Version"), tools)
    items += _pairs("Workload as resolved", ("Key", "Value"), _flat(info.workload) if info.workload else [])
    items += _pairs("Testbed as resolved", ("Key", "Value"), _flat(info.testbed) if info.testbed else [])
    return items


def _facts(facts: RunFacts) -> list[tuple[str, Content]]:
    info = facts.run.info
    wanted = info.workload
    found: list[tuple[str, Content]] = [
        ("Run", info.run_id),
        ("Workload", info.name),
        ("Started, ended", f"{info.started_utc or NONE}, {info.ended_utc or NONE}"),
        ("Revision", Word(_revision(info.git.revision, dirty=info.git.dirty), "warn" if info.git.dirty else "plain")),
    ]
    for each in info.resumed:
        found.append(("Resumed", f"{each.utc or NONE}, {_revision(each.revision, dirty=each.dirty)}"))
    words = {"boots": "boot", "iterations": "iteration", "warmups": "warm-up"}
    sizes = [plural(wanted[key], word) for key, word in words.items() if isinstance(wanted.get(key), int)]
    if sizes:
        found.append(
            ("Each cell", f" {TIMES} ".join(sizes[:2]) + (f", after {sizes[2]} in each boot" if sizes[2:] else ""))
        )
    if not facts.run.samples.empty:
        first = facts.run.samples.iloc[0]
        found.append(("Platform", f"{first['platform']}, {first['platform_version']}"))
        for stack in facts.run.samples["stack_hash"].unique()[:4]:
            found.append(("Stack", str(stack)))
    host = ", ".join(_host(info.host))
    if host:
        found.append(("Build computer", host))
    for name in (SAMPLES.name, PRIVACY.name):
        path = facts.run.folder / name
        if path.exists():
            found.append((name, f"SHA-256 {_digest(path)}"))
    return found


def _pairs(caption: str, headings: tuple[str, str], rows: list[tuple[str, str]]) -> list[Item]:
    """A folded table of two columns; none if it is empty."""
    heads = tuple(Heading(text, numeric=False) for text in headings)
    return [Grid(caption, heads, tuple(rows), folded=True)] if rows else []


def _revision(revision: str | None, *, dirty: bool | None) -> str:
    return (revision or NONE) + (" and uncommitted changes" if dirty else "")


def _host(host: dict[str, Any]) -> list[str]:
    told = []
    for key, unit in (("os", ""), ("cpu", ""), ("cores", " cores"), ("memory_mib", " MiB")):
        if host.get(key) is not None:
            told.append(f"{host[key]}{unit}")
    return told


def _cells(facts: RunFacts) -> Grid:
    """One row a cell: what it is, and in how many steps it passed."""
    steps = Counter((step.cell_id, step.status == Status.OK) for step in facts.run.info.steps)
    about = {cell.cell_id: cell for cell in facts.run.info.cells}
    known = list(dict.fromkeys([*about, *map(str, facts.run.samples["cell_id"].unique())]))
    rows: list[tuple[Content, ...]] = []
    for cell_id in known:
        cell, found = about.get(cell_id), facts.cell(cell_id)
        good, bad = steps[cell_id, True], steps[cell_id, False]
        told: Content = NONE if not good + bad else f"{good} of {good + bad}"
        if bad:
            told = Word(str(told), "bad")
        trained = {True: "trained", False: "architecture only", None: NONE}[cell.trained if cell else None]
        rows.append(
            (
                cell_id,
                f"{cell.model} {cell.quantization}" if cell else found.name if found else NONE,
                trained,
                (cell.output if cell else None) or NONE,
                found.regime if found else NONE,
                str(found.mem_mib) if found else NONE,
                {True: "yes", False: "no", None: NONE}[cell.pretouch if cell else None],
                told,
            )
        )
    headings = (
        Heading("Cell", numeric=False),
        Heading("Model", numeric=False),
        Heading("Weights", numeric=False),
        Heading("Output", "released", numeric=False),
        Heading("Ticks", "host/guest", numeric=False),
        Heading("Memory", "MiB"),
        Heading("Pre-touched", numeric=False),
        Heading("Steps passed"),
    )
    return Grid("Cells: points of the matrix, each measured in every world", headings, tuple(rows))


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested keys as `a.b`, scalars as text."""
    if isinstance(value, dict) and value:
        return [pair for key, each in value.items() for pair in _flat(each, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return [pair for number, each in enumerate(value) for pair in _flat(each, f"{prefix}[{number}]")]
    text = ", ".join(map(str, value)) if isinstance(value, list) else NONE if value is None else str(value)
    return [(prefix, text or NONE)]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


RECORD = SectionKind("what", "What was run", build, alarms=step_alarms)
