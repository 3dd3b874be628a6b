# SPDX-License-Identifier: Apache-2.0
"""What the processes of one test session make for each other, and what most of its tests can do without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runner_build import build_runner
from workshop import Workshop

if TYPE_CHECKING:
    from io import StringIO


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The session's own; workers have their temporary folders side by side."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "workshop"
    folder.mkdir(exist_ok=True)
    return Workshop(folder)


@pytest.fixture(scope="session")
def plain_runner(workshop: Workshop) -> Path:
    """The runner for this computer, as it is shipped but for its optimisation."""
    return build_runner(workshop)


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are painted and then not laid out, which is half of a report: for tests that do not look at them."""
    from matplotlib.figure import Figure

    def blank(_figure: Figure, stream: StringIO, **_settings: Any) -> None:
        stream.write(
            '<svg viewBox="0 0 619.2 288" xmlns="http://www.w3.org/2000/svg">\n <g id="figure_1"></g>\n</svg>\n'
        )

    monkeypatch.setattr(Figure, "savefig", blank)
