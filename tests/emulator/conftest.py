# SPDX-License-Identifier: Apache-2.0
"""Testbeds of the tests' own: a state folder each; the user's artifact cache and a session's saved machines shared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated import Bed, Maker
from store import Store


@pytest.hookimpl(tryfirst=True)  # xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.emulator)
            item.add_marker(pytest.mark.timeout(300))
            if "make_module_bed" in getattr(item, "fixturenames", ()):  # one machine, so one worker
                item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The session's own; workers have their temporary folders side by side."""
    base = tmp_path_factory.getbasetemp()
    return Store((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "store")


@pytest.fixture
def make_bed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """Make testbeds of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    maker = Maker(tmp_path, store)
    yield maker
    maker.close()


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """A testbed as shipped."""
    return make_bed()


@pytest.fixture
def own_bed(make_bed: Callable[..., Bed]) -> Bed:
    """A testbed as shipped whose machine was never up before."""
    return make_bed(own=True)


@pytest.fixture(scope="module")
def make_module_bed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    """Make testbeds for all tests of a module that ask for them; those of one name share machine and guests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("bed")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        maker = Maker(folder, store)
        yield maker
        maker.close()


@pytest.fixture(scope="module")
def module_bed(make_module_bed: Callable[..., Bed]) -> Bed:
    """A testbed as shipped for the tests of a module, each of which finds what the one before it has left."""
    return make_module_bed()


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("ORCH_DEBUG", raising=False)
