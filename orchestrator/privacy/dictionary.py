# SPDX-License-Identifier: Apache-2.0
"""The dictionary of attacks and their metrics, as it stands in results/README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.privacy.attack import find_attack
from orchestrator.registry import ATTACKS

if TYPE_CHECKING:
    from orchestrator.privacy.attack import AttackMetric

_HEAD = ("attack", "metric", "row", "unit", "value", "`attempted`", "alarm in a realm")


def dictionary() -> str:
    """A table in Markdown: one line a metric of each registered attack."""
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for name in ATTACKS:
        for place, metric in enumerate(find_attack(name).metrics):
            rows.append((f"`{name}`" if place == 0 else "", *_cells(metric)))
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def _cells(metric: AttackMetric) -> tuple[str, ...]:
    row = f"main, {metric.role}" if metric.main else str(metric.role)
    alarm = metric.alarm.rule if metric.alarm else "-"
    return f"`{metric.name}`", row, f"`{metric.unit}`", metric.meaning, metric.attempted or "-", alarm
