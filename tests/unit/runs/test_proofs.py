# SPDX-License-Identifier: Apache-2.0
"""What realms have proved, from the shards of a run to its attestation.json and its report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cca_vectors import Vector

from orchestrator.attest.policies import read_policy
from orchestrator.attest.verify import verify
from orchestrator.errors import UsageError
from orchestrator.report.model import Grid, Paragraph, Word
from orchestrator.report.sections.attestation import RECORD
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.merge import ATTESTATION, merge
from orchestrator.runs.reading import _proofs


def proof(boot: int) -> dict[str, Any]:
    return {"boot_id": boot, "realm": "realm", "verdict": verify(Vector().bytes(), read_policy(None)).as_table()}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Two boots; the second was killed while it wrote down what its second realm had proved."""
    made = RunFolder.create(tmp_path, "quick")
    for boot in (1, 0):
        made.shard(boot).make()
        made.shard(boot).attested(proof(boot))
    with (made.shard(1).folder / "attestation.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"boot_id": 1, "rea')
    return made


def test_they_are_in_the_order_of_the_boots(run: RunFolder) -> None:
    merge(run.folder)
    table = json.loads((run.folder / ATTESTATION).read_text(encoding="utf-8"))
    assert (table["format"], [each["boot_id"] for each in table["realms"]]) == (1, [0, 1])
    assert [each["boot_id"] for each in _proofs(run.folder / ATTESTATION)] == [0, 1]


def test_a_run_without_realms_has_none(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path, "quick")
    made.shard(0).make()
    merge(made.folder)
    assert not (made.folder / ATTESTATION).exists()
    assert _proofs(made.folder / ATTESTATION) == ()


@pytest.mark.parametrize("text", ["", "[]", '{"realms": [1]}', "{}"])
def test_what_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ATTESTATION).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="not what realms have proved"):
        _proofs(tmp_path / ATTESTATION)


def test_the_report_shows_the_verdict_leg_by_leg() -> None:
    facts: Any = SimpleNamespace(run=SimpleNamespace(proofs=(proof(0), proof(1))))
    lead, grid = RECORD.build(facts)
    assert isinstance(lead, Paragraph)
    assert isinstance(grid, Grid)
    assert lead.text.startswith("2 realms were asked for a token with a nonce before SSH was opened, 0 accepted by ")
    assert lead.tone == "bad"
    verdicts = {row[0]: row[1] for row in grid.rows}
    assert verdicts["platform signature"] == Word("fails", "bad")
    assert verdicts["rpv"] == Word("no verdict", "muted")
    assert verdicts["realm signature"] == Word("holds", "good")
    facts.run.proofs = ()
    assert RECORD.build(facts) == []
