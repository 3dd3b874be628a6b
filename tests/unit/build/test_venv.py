# SPDX-License-Identifier: Apache-2.0
"""The environment maker: when it does nothing, and how it fails; nothing is installed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.build import venv

PYPROJECT = '[build-system]\nrequires = ["setuptools>=80"]\n[project]\ndependencies = ["b==1", "a==1"]\n'
PYPI = {
    "request": venv.requirements_digest(["a==1", "b==1", "setuptools>=80"]),
    "python": ["3.11"],
    "packages": [{"name": "a", "version": "1", "sha256": ["0" * 64, "1" * 64]}],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "orch.lock.json").write_text(json.dumps({"pypi": PYPI}))
    return root


def test_requirements_file() -> None:
    expected = f"a==1 --hash=sha256:{'0' * 64} --hash=sha256:{'1' * 64}\n"
    assert venv.requirements_text(PYPI) == expected


def test_complete_environment_is_left_alone(project: Path) -> None:
    made = project / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "bin/orch").write_text("")
    (made / venv.STAMP).write_text(json.dumps(venv.stamp_of(PYPI, PYPROJECT.encode(), project)))
    assert venv.main(project, made) == 0
    assert sorted(path.name for path in made.iterdir()) == ["bin", venv.STAMP]


def test_dependencies_that_are_not_locked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.replace("b==1", "b==2"))
    assert venv.main(project, project / ".venv") == 3
    assert "are not those that orch.lock.json pins" in capsys.readouterr().err
    assert not (project / ".venv").exists()


def test_damaged_lock(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "orch.lock.json").write_text('{"pypi": {}}')
    assert venv.main(project, project / ".venv") == 3
    assert "orch.lock.json is damaged" in capsys.readouterr().err


def test_folder_of_someone_else_is_not_cleared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "mine").mkdir()
    (project / "mine/precious").write_text("")
    assert venv.main(project, project / "mine") == 6
    assert "is not a virtual environment" in capsys.readouterr().err
    assert (project / "mine/precious").exists()


def test_no_ensurepip(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert venv.main(project, project / ".venv") == 6
    assert "-venv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "message", "code"),
    [
        ("ERROR: No matching distribution found for a==1", "lacks a pinned package: No matching distribution", 6),
        ("WARNING: Retrying after NewConnectionError", "cannot be reached", 6),
        (
            "ERROR: x\n    a==1 from b\n        Expected sha256 00\n             Got        11\n",
            "a==1: expected SHA-256 00, got 11",
            3,
        ),
        ("OSError: [Errno 28] No space left on device", "no space left", 6),
        ("ERROR: odd", "pip failed: odd", 3),
    ],
)
def test_failure_of_pip_is_explained(tmp_path: Path, output: str, message: str, code: int) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(f"#!/bin/sh\necho '{output}'\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(venv.SetupError, match=message) as caught:
        venv._pip(tmp_path, tmp_path / "log")
    assert caught.value.code == code


def test_nothing_to_do_needs_the_standard_library_only(project: Path) -> None:
    made = project / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "bin/orch").write_text("")
    (made / venv.STAMP).write_text(json.dumps(venv.stamp_of(PYPI, PYPROJECT.encode(), project)))
    script = project / "orchestrator/build/venv.py"
    script.parent.mkdir(parents=True)
    script.write_text(Path(venv.__file__).read_text())
    subprocess.run([sys._base_executable, "-I", "-S", script, made], check=True)  # type: ignore[attr-defined]
