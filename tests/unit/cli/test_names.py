# SPDX-License-Identifier: Apache-2.0
"""Folders whose names are no text: `orch` reads and writes them, and says them as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from synthetic import Cell, Plan, make_run

ROOT = Path(__file__).resolve().parents[3]
NAME = "re\udcffsults"
PLAN = Plan(name="night", cells=(Cell(),), boots=2, iterations=3, warmups=1)


def orch(*words: str, errors: str = "surrogateescape", **environment: str) -> subprocess.CompletedProcess[str]:
    program = "from orchestrator.cli.start import entry; entry()"
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, check=False, cwd=ROOT, env=env, errors=errors
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in such a folder, which failed for something in it."""
    (tmp_path / NAME).mkdir()
    folder = make_run(tmp_path / NAME, PLAN, privacy=False)
    facts = yaml.safe_load((folder / "run.yaml").read_text())
    facts |= {"cause": f"OrchError: cannot copy {folder}/x to x: no", "status": "failed"}
    (folder / "run.yaml").write_text(yaml.safe_dump(facts, allow_unicode=True))
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_report_says_where_it_is(run: Path, encoding: str) -> None:
    done = orch("report", "latest", "--results", str(run.parent), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{run}/report.html"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "re\\udcffsults" in page
    assert "re\ufffdsults" in (run / "junit.xml").read_text(encoding="utf-8")


def test_a_comparison_is_written_there(run: Path, tmp_path: Path) -> None:
    output = f"{tmp_path}/no \udcfe text"
    done = orch("compare", str(run), str(run), "--output", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(output)


def test_an_error_names_the_folder(tmp_path: Path) -> None:
    done = orch("report", "none\udcff", "--results", f"{tmp_path}/re\udcff")
    assert done.returncode == 2
    assert "re\udcff" in done.stderr
    assert "Traceback" not in done.stderr
