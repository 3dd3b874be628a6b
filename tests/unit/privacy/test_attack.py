# SPDX-License-Identifier: Apache-2.0
"""Records of attacks: what they must say, and that the documents say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.privacy import rows
from orchestrator.privacy.attack import Alarm, AttackMetric, Kind, OfflineAttack, Outside, Role, find_attack, metric_of
from orchestrator.privacy.dictionary import dictionary
from orchestrator.registry import ATTACKS
from orchestrator.schema.samples import PrivacyRow

ROOT = Path(__file__).resolve().parents[3]
ABOUT = rows.About("realm", "cnn", "int8", run_id="run", cell_id="cell")
ONE = AttackMetric("one", "a figure", main=True)


def made(**changes: Any) -> OfflineAttack:
    facts: dict[str, Any] = {"name": "toy", "summary": "a toy", "metrics": (ONE,), "run": lambda _: []}
    return OfflineAttack(**facts | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metrics": ()}, "no metric is its main one"),
        ({"metrics": (AttackMetric("one", "a figure"),)}, "no metric is its main one"),
        ({"metrics": (ONE, ONE)}, "two metrics have the same name"),
        ({"metrics": (ONE, AttackMetric("two", "", role=Role.OUTSIDE))}, "nothing says why"),
    ],
)
def test_a_record_that_others_could_not_read_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(**changes)


def test_what_an_alarm_tells() -> None:
    above, below = Alarm("{value:.0%} of it", above=0), Alarm("only {value}", below=1)
    assert (above.rule, below.rule) == ("above 0", "below 1")
    assert [above.told(value) for value in (0, 0.25, float("nan"))] == [None, "25% of it", None]
    assert [below.told(value) for value in (1, 0.5, float("nan"))] == [None, "only 0.5", None]


@pytest.mark.parametrize("name", list(ATTACKS))
def test_rows_are_what_the_record_says(name: str) -> None:
    record = find_attack(name)
    for metric in record.metrics:
        row = ABOUT.row(name, metric.name, value=0)
        assert (row.unit, row.control) == (metric.unit, metric.role is Role.CONTROL)
        assert row.in_verdict is (metric.role is Role.VERDICT)
        assert metric_of(name, metric.name) is metric
    skipped = rows.skipped_row(ABOUT, name, "why")
    assert (skipped.metric, skipped.status, skipped.value, skipped.note) == (
        record.main.name,
        "skipped",
        None,
        "not done: why",
    )


def test_which_attacks_are_offline() -> None:
    assert [name for name in ATTACKS if find_attack(name).kind is Kind.OFFLINE] == ["answer-time"]


def test_a_row_has_a_metric_of_its_attack_in_its_unit() -> None:
    good = ABOUT.row("dma", "realm_read_it", value=1).model_dump()
    with pytest.raises(ValidationError, match="dma has no metric 'blocks_recovered'; it has requests_done"):
        PrivacyRow.model_validate(good | {"metric": "blocks_recovered"})
    with pytest.raises(ValidationError, match="realm_read_it of dma is in '1', not in 's'"):
        PrivacyRow.model_validate(good | {"unit": "s"})
    with pytest.raises(ValueError, match="attack dma has no metric 'nothing'"):
        ABOUT.row("dma", "nothing")
    with pytest.raises(UsageError, match="unknown attack 'rowhammer'"):
        ABOUT.row("rowhammer", "flips")


def test_a_row_of_an_attack_that_is_not_there_any_more_can_be_read() -> None:
    good = ABOUT.row("dma", "realm_read_it", value=1).model_dump()
    old = PrivacyRow.model_validate(good | {"attack": "rowhammer", "metric": "flips", "unit": "kHz"})
    assert (old.attack, old.unit) == ("rowhammer", "kHz")
    assert metric_of("rowhammer", "flips") is None


def test_the_dictionary_has_all_metrics() -> None:
    text = (ROOT / "results/README.md").read_text(encoding="utf-8")
    assert dictionary() in text, f"results/README.md, Metrics of privacy.csv, should have:\n{dictionary()}"


def test_the_documentation_has_all_attacks_and_metrics() -> None:
    text = (ROOT / "docs/privacy.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", text, re.MULTILINE))
    for name in ATTACKS:
        (section,) = [body for head, body in sections.items() if f"`{name}`" in head]
        told = set(re.findall(r"`(\w+)`", section))
        assert set(find_attack(name).by_name) <= told


def test_a_toy_is_in_the_dictionary_while_it_is_registered() -> None:
    metric = AttackMetric("bits", "bits learned", "tries", "bit", main=True, alarm=Alarm("{value}", above=2))
    with ATTACKS.extended(made(metrics=(metric,), outside=Outside("title", "why"))):
        assert "| `toy` | `bits` | main, verdict | `bit` | bits learned | tries | above 2 |" in dictionary()
    assert "toy" not in dictionary()
