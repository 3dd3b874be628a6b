# SPDX-License-Identifier: Apache-2.0
"""The data dictionary says what the code has: columns, phases, metrics, components; and what is added to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.registry import ATTACKS
from orchestrator.report.dictionary import dictionary, filled, update
from orchestrator.words import METRICS, PHASES, Component, Method, Metric, Owner, Phase

README = Path(__file__).resolve().parents[3] / "results/README.md"
TEXT = README.read_text(encoding="utf-8")
DECRYPT = Phase("decrypt", event=40, owner=Owner.STEP, label="decryption", meaning="a model is opened")
MISSES = Metric("cache_misses", {Method.PROCFS: "1"}, "misses of a cache that nobody has")


def test_the_dictionary_for_people_is_up_to_date() -> None:
    assert filled(TEXT) == TEXT, "make dictionary"


def test_everything_is_in_it() -> None:
    text = dictionary()
    for name in (*PHASES, *METRICS, *map(str, Component)):
        assert f"| `{name}` |" in text
    assert all(f"`{name}`" in TEXT for name in ATTACKS)


def test_what_is_added_is_found() -> None:
    assert "decrypt" not in dictionary()
    with PHASES.extended(DECRYPT), METRICS.extended(MISSES):
        text = dictionary()
        assert filled(TEXT) != TEXT
    assert "| `decrypt` | 40 | step | no | a model is opened |" in text
    assert "| `cache_misses` | `1` procfs | misses of a cache that nobody has |" in text
    row = next(line for line in text.splitlines() if line.startswith("| `phase` | text | no | what was going on"))
    assert row.endswith("`teardown`, `decrypt` |")


@pytest.mark.parametrize("line", ["| `attest` | 4 ", "| `granules` | ", "| `ratio_ci_high` | ", "| `git_revision` | "])
def test_a_line_that_is_missing_or_wrong_is_noticed_and_put_right(line: str, tmp_path: Path) -> None:
    (found,) = (each for each in TEXT.splitlines(keepends=True) if each.startswith(line))
    for broken in (TEXT.replace(found, ""), TEXT.replace(found, found.replace(" |\n", " and more |\n"))):
        assert filled(broken) == TEXT != broken
        path = tmp_path / "README.md"
        path.write_text(broken, encoding="utf-8")
        update(path)
        assert path.read_text(encoding="utf-8") == TEXT


def test_a_heading_that_is_missing_is_told() -> None:
    with pytest.raises(UsageError, match="no table below '## Phases'"):
        filled(TEXT.replace("## Phases\n", "## Others\n"))
