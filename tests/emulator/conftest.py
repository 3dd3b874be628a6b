# SPDX-License-Identifier: Apache-2.0
"""Testbeds of the tests' own: a state folder each, the user's artifact cache shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated import ROOT, Bed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.emulator)
            item.add_marker(pytest.mark.timeout(3000))


@pytest.fixture
def make_bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bed]]:
    """Make testbed files (with text replaced); every machine started from them is taken down again."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made: list[Bed] = []

    def make(*replacements: tuple[str, str], name: str = "testbed.yaml", extra: str = "") -> Bed:
        text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text + extra, encoding="utf-8")
        made.append(Bed(path))
        return made[-1]

    yield make
    for bed in made:
        bed.orch("down")


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """A testbed as shipped."""
    return make_bed()


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("ORCH_DEBUG", raising=False)
