# SPDX-License-Identifier: Apache-2.0
"""Both readers of YAML say the same, and a document that only one of them survives is left to that one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.schema.yamltext import compose, data_of

ROOT = Path(__file__).resolve().parents[3]
FILES = [path for top in ("images", "guest", "workloads", "tests", "docs") for path in (ROOT / top).rglob("*.yaml")]


def places(node: yaml.Node) -> Iterator[tuple[str, int, int]]:
    yield node.tag, node.start_mark.line, node.start_mark.column
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        for each in child if isinstance(child, tuple) else (child,):
            yield from places(each)


def test_the_shipped_files_are_the_same_to_both() -> None:
    assert len(FILES) > 30
    for path in [ROOT / "testbed.yaml", *FILES]:
        text = path.read_text(encoding="utf-8")
        root, data = compose(text)
        own = yaml.SafeLoader(text).get_single_node()
        assert data == yaml.safe_load(text), path
        assert own is not None
        assert root is not None
        assert [*places(root)] == [*places(own)], path


@pytest.mark.parametrize("text", ["a: [1\nb: 2\n", "a: b: c\n", "\t- a", "a: !!python/object:os.x {}", "%YAML 9\na"])
def test_mistakes_are_told_in_one_way(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as ours:
        compose(text)
    with pytest.raises(yaml.YAMLError) as own:
        yaml.safe_load(text)
    assert str(ours.value) == str(own.value)


DEEP = {"flow": "{a: " * 100_000, "compact": "- " * 100_000, "nested": "".join(" " * n + "a:\n" for n in range(1500))}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_document_that_is_too_deep_does_not_get_to_libyaml(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str) -> Any:
        raise AssertionError

    monkeypatch.setattr(yaml, "CSafeLoader", never)
    with pytest.raises(RecursionError):
        compose(text)


def test_an_empty_document_is_nothing() -> None:
    assert compose("# only this\n") == (None, None)
    assert data_of("a: [1, x]") == {"a": [1, "x"]}
