# SPDX-License-Identifier: Apache-2.0
"""Both readers of YAML say the same, and a document that only one of them survives is left to that one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import UsageError
from orchestrator.schema import yamltext
from orchestrator.schema.yamltext import parse

ROOT = Path(__file__).resolve().parents[3]
FILES = [path for top in ("images", "guest", "workloads", "tests", "docs") for path in (ROOT / top).rglob("*.yaml")]


@contextmanager
def by_python() -> Iterator[None]:
    """Documents are read as where there is no libyaml."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamltext, "_Fast", yamltext._Loader)
        yield


def test_the_shipped_files_are_the_same_to_both() -> None:
    assert len(FILES) > 30
    for path in [ROOT / "testbed.yaml", *FILES]:
        text = path.read_text(encoding="utf-8")
        ours = parse(text, path.name)
        with by_python():
            assert ours == parse(text, path.name)


MISTAKES = ["a: [1\nb: 2\n", "a: b: c\n", "\t- a", "a: !!python/object:os.x {}", "%YAML 9\na", "a: *y", "a: 1\na: 2"]


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_told_in_one_way(text: str) -> None:
    with pytest.raises(UsageError) as ours:
        parse(text, "t.yaml")
    with by_python(), pytest.raises(UsageError) as own:
        parse(text, "t.yaml")
    assert ours.value.message == own.value.message


DEEP = {"flow": "{a: " * 100_000, "compact": "- " * 100_000, "nested": "".join(" " * n + "a:\n" for n in range(1500))}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_document_that_is_too_deep_does_not_get_to_libyaml(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str) -> Any:
        raise AssertionError

    monkeypatch.setattr(yamltext, "_Fast", never)
    with pytest.raises(UsageError, match="not valid YAML"):
        parse(text, "t.yaml")
