# SPDX-License-Identifier: Apache-2.0
"""What attacks found that must not be: a realm that leaks, faults that are not those expected, attacks that failed."""

from __future__ import annotations

from orchestrator.analysis.facts import RunFacts
from orchestrator.privacy.attack import metric_of
from orchestrator.report.naming import place
from orchestrator.words import Status, World


def privacy_alarms(facts: RunFacts) -> list[str]:
    """One line each; a failed attack that its step tells of is not told twice."""
    rows = facts.run.privacy
    if rows.empty:
        return []
    told = {(step.cell_id, step.world) for step in facts.run.info.steps if step.status != Status.OK}
    bad = rows[rows["status"].isin([Status.FAILED, Status.ERROR])]
    found = []
    for row in bad.drop_duplicates(["attack", "cell_id", "world"]).to_dict("records"):
        if (row["cell_id"], row["world"]) not in told:
            why = row["note"] if isinstance(row["note"], str) else "no reason given"
            found.append(
                f"{row['status']}: {row['attack']}: {place(facts, str(row['cell_id']), str(row['world']))}: {why}"
            )
    realm = rows[(rows["world"] == World.REALM) & rows["in_verdict"] & (rows["status"] == Status.OK)]
    for row in realm.to_dict("records"):
        metric = metric_of(str(row["attack"]), str(row["metric"]))
        words = metric.alarm.told(row["value"]) if metric is not None and metric.alarm is not None else None
        if words:
            where = place(facts, str(row["cell_id"]), str(row["world"]))
            found.append(f"{row['attack']}: {where}: {words}")
    return found
