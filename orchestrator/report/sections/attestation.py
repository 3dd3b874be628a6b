# SPDX-License-Identifier: Apache-2.0
"""What realms proved of themselves before anything was sent to them, leg by leg and claim by claim."""

from __future__ import annotations

from typing import Any

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Word
from orchestrator.report.section import SectionKind
from orchestrator.report.wording import plural

_TONES = {"holds": "good", "fails": "bad", "no verdict": "muted"}
_SHOWN = 24  # hexadecimal digits of a value


def build(facts: RunFacts) -> list[Item]:
    """The verdict on the first realm; all of them are in attestation.json."""
    proofs = facts.run.proofs
    if not proofs:
        return []
    return [Paragraph(_lead(proofs), lead_tone(proofs)), _grid(proofs[0]["verdict"])]


def lead_tone(proofs: tuple[dict[str, Any], ...]) -> str:
    """Of the sentence above the table."""
    return "plain" if all(each["verdict"]["accepted"] for each in proofs) else "bad"


def _lead(proofs: tuple[dict[str, Any], ...]) -> str:
    accepted = sum(bool(each["verdict"]["accepted"]) for each in proofs)
    count = f"{plural(len(proofs), 'realm')} {'was' if len(proofs) == 1 else 'were'} asked for a token with a nonce"
    rims = {_claim(each["verdict"], "rim") for each in proofs}
    told = f"{count} before SSH was opened, {accepted} accepted by policy {proofs[0]['verdict']['policy']}; "
    measured = f"measurement {next(iter(rims))[:_SHOWN]}…" if len(rims) == 1 else f"{len(rims)} measurements"
    return f"{told}{measured}. A normal VM has no such proof: its host key is what its console said."


def _claim(verdict: dict[str, Any], name: str) -> str:
    return next((str(each.get("found", "")) for each in verdict["claims"] if each["name"] == name), "")


def _grid(verdict: dict[str, Any]) -> Grid:
    headings = (
        Heading("Leg or claim", numeric=False),
        Heading("Verdict", numeric=False),
        Heading("Value", numeric=False),
        Heading("Why", numeric=False),
    )
    rows: list[tuple[Content, ...]] = []
    for each in [*verdict["legs"], *verdict["claims"]]:
        found = str(each.get("found") or "")
        shown = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"
        rows.append((each["name"], Word(each["state"], _TONES.get(each["state"], "plain")), shown, each["why"]))
    notes = tuple(f"Test key: {each}." for each in _test_keys(verdict))
    return Grid("What the first realm proved", headings, tuple(rows), notes, folded=True)


def _test_keys(verdict: dict[str, Any]) -> list[str]:
    used = [f"{each['role']} key {each['name']} is a public value" for each in verdict.get("test_keys", [])]
    return [*used, "firmware and monitor are not attested by such keys"] if used else []


RECORD = SectionKind("attestation", "Attestation", build)
