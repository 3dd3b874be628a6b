# SPDX-License-Identifier: Apache-2.0
"""What attacks reached in each world, and what that protection costs; controls and limitations stand apart."""

from __future__ import annotations

from typing import Any

import pandas as pd

from orchestrator.analysis.facts import RunFacts
from orchestrator.privacy.attack import Outside, is_exposure, metric_of
from orchestrator.registry import ATTACKS
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Plot, Word
from orchestrator.report.naming import word_of
from orchestrator.report.plots.exposure import Exposed, exposure
from orchestrator.report.section import SectionKind
from orchestrator.report.sections.privacy_alarms import privacy_alarms
from orchestrator.report.style import world_name
from orchestrator.report.wording import NONE, Range, ditto, fraction, number, percent_over, whole
from orchestrator.words import INFER, Status, World

_NO_REASON = Outside("Others outside the verdict on CCA", "Their notes say why.")
_LONG = 16  # rows of a table that is not folded
_HEADINGS = (
    Heading("Attack", numeric=False),
    Heading("Cell", numeric=False),
    Heading("World", numeric=False),
    Heading("Access", numeric=False),
    Heading("Metric", numeric=False),
    Heading("Value", "and 95 % interval"),
    Heading("Attempted"),
    Heading("Verdict", numeric=False),
    Heading("Note", numeric=False),
)


def build(facts: RunFacts) -> list[Item]:
    """Nothing without attacks; all of privacy.csv that has no section of its own."""
    rows = facts.run.privacy
    if rows.empty:
        return []
    judged, controls = rows[rows["in_verdict"] & ~rows["control"]], rows[rows["control"]]
    limits = rows[~rows["in_verdict"] & ~rows["control"]]
    items: list[Item] = []
    plot = _plot(facts, judged)
    if plot is not None:
        items.append(plot)
    found = exposures(judged)
    if found is not None:
        items.append(_matrix(*found, facts))
    if not judged.empty:
        items.append(_table("What the malicious host gets, by world", judged, facts))
    if not controls.empty:
        items.append(_table("Controls: the attack can succeed where it should", controls, facts))
    for outside, part in _by_reason(limits):
        items += [_table(outside.title, part, facts), Paragraph(outside.why, "note")]
    return items


def exposures(judged: pd.DataFrame) -> tuple[str, pd.DataFrame] | None:
    """The attack and metric that stand for exposure, and its rows with a value from 0 to 1."""
    fit = judged[(judged["status"] == Status.OK) & judged["value"].between(0, 1)]
    for attack, metric in dict.fromkeys(zip(fit["attack"], fit["metric"], strict=True)):
        if is_exposure(attack, metric):
            return f"{attack}: {metric}", fit[(fit["attack"] == attack) & (fit["metric"] == metric)]
    return None


def _by_reason(limits: pd.DataFrame) -> list[tuple[Outside, pd.DataFrame]]:
    """Rows that are no part of the verdict, by the reason that their attacks give."""
    reasons = {name: _outside(name) for name in limits["attack"].unique()}
    return [
        (reason, limits[limits["attack"].map(reasons.__getitem__) == reason])
        for reason in dict.fromkeys(reasons.values())
    ]


def _outside(attack: str) -> Outside:
    record = ATTACKS.get(attack)
    return (record.outside if record else None) or _NO_REASON


def _plot(facts: RunFacts, judged: pd.DataFrame) -> Plot | None:
    found = exposures(judged)
    if found is None:
        return None
    attack, rows = found
    points = []
    for row in rows.to_dict("records"):
        cell = facts.cell(str(row["cell_id"]))
        world = str(row["world"])
        over = Range(0.0) if world == World.VM else None
        if cell is not None and world != World.VM and (ratio := cell.over_vm.get((world, INFER))) is not None:
            over = percent_over(ratio)
        if cell is not None and over is not None:
            points.append(Exposed(cell.line, cell.regime, world, share(row), over))
    if not points:
        return None
    told = "; ".join(
        f"{point.label}, {world_name(point.world)}: {number(point.exposure.value)} % recovered, "
        f"{number(point.overhead.value)} % overhead"
        for point in points
    )
    svg = exposure("plot-exposure", "Overhead against exposure", f"{told}.", points, attack.replace("_", " "))
    caption = (
        "What protection costs and what it gives: overhead of an inference over the normal VM against the share of the "
        "model that "
        "the host recovers. Lower left is better."
    )
    return Plot("exposure", svg, caption)


def _matrix(attack: str, rows: pd.DataFrame, facts: RunFacts) -> Grid:
    """Exposure by cell and world."""
    worlds = [str(world) for world in World if (rows["world"] == world).any()]
    headings = (Heading("Cell", numeric=False), *(Heading(world_name(world), "and 95 % interval") for world in worlds))
    found: list[tuple[Content, ...]] = []
    for cell, part in rows.groupby("cell_id", sort=False):
        by_world = {str(row["world"]): row for row in part.to_dict("records")}
        told = [
            Word(_value(row["value"], row), below=_interval(row)) if (row := by_world.get(world)) else NONE
            for world in worlds
        ]
        found.append((word_of(facts, str(cell)), *told))
    what = attack.replace("_", " ")
    return Grid(f"Exposure: share of the model that root on the host recovers ({what})", headings, tuple(found))


def share(row: dict[Any, Any]) -> Range:
    """A row's figure with its interval, percent."""
    low, high = (None if pd.isna(row[end]) else 100 * float(row[end]) for end in ("ci_low", "ci_high"))
    return Range(100 * float(row["value"]), low, high)


def _table(caption: str, rows: pd.DataFrame, facts: RunFacts) -> Grid:
    places = {name: _first_seen(rows[name]) for name in ("attack", "cell_id")}
    places["world"] = {str(world): place for place, world in enumerate(World)}
    ordered = rows.sort_values(list(places), kind="stable", key=lambda column: column.map(places[str(column.name)]))
    found = ditto((_row(row, facts) for row in ordered.to_dict("records")), 2)
    return Grid(caption, _HEADINGS, found, folded=len(found) > _LONG)


def _row(row: dict[Any, Any], facts: RunFacts) -> tuple[Content, ...]:
    status = str(row["status"])
    verdict: Content = _text(row["verdict"])
    if status != Status.OK:
        verdict = Word(status, "bad")
    return (
        str(row["attack"]),
        word_of(facts, str(row["cell_id"])),
        world_name(str(row["world"])),
        _text(row["access"]),
        str(row["metric"]).replace("_", " "),
        Word(_value(row["value"], row), below=_interval(row)),
        NONE if pd.isna(row["attempted"]) else whole(float(row["attempted"])),
        verdict,
        _text(row["note"]),
    )


def _text(value: object) -> str:
    return str(value) if isinstance(value, str) and value else NONE


def _first_seen(column: pd.Series[Any]) -> dict[Any, int]:
    return {value: place for place, value in enumerate(column.unique())}


def _value(value: float, row: dict[Any, Any]) -> str:
    """What has an interval is a share of something; other whole numbers are counts and flags."""
    if pd.isna(value):
        return NONE
    if row["unit"] != "1":
        return f"{number(value)} {row['unit']}"
    known = metric_of(row["attack"], row["metric"])
    if known is not None and known.plain:
        return number(value)
    share = (known is not None and known.exposure) or not pd.isna(row["ci_low"]) or not float(value).is_integer()
    return fraction(value) if share else whole(value)


def _interval(row: dict[Any, Any]) -> str:
    if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]):
        return ""
    ends = (_value(float(row[end]), row) for end in ("ci_low", "ci_high"))
    return f"[{', '.join(ends)}]"


RECORD = SectionKind("privacy", "What the host gets", build, alarms=privacy_alarms, rest=True)
