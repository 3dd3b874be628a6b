# SPDX-License-Identifier: Apache-2.0
"""The environment maker: when it does nothing, and how it fails; nothing is installed here."""

from __future__ import annotations

import contextlib
import json
import os
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


class Pip:
    """Stands for pip: what it was asked for, and wheels that it finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.refuses: set[str] = set()
        monkeypatch.setattr(venv, "_pip", self.run)
        monkeypatch.setattr(venv, "_compile", lambda *_: self.asked.append("compile"))
        monkeypatch.setattr(venv, "_create", self.create)

    def create(self, made: Path, *, with_pip: bool) -> None:
        self.asked.append("create with pip" if with_pip else "create")
        (made / "bin").mkdir(parents=True, exist_ok=True)
        (made / "bin/python").touch()

    def run(self, made: Path, log: Path, command: str, *arguments: str, pip: Path | None = None) -> None:
        self.asked.append(f"{command} from wheels" if "--find-links" in arguments else command)
        if command == "download":
            assert pip is None
            folder = Path(arguments[arguments.index("--dest") + 1])
            (folder / "pip-1-py3-none-any.whl").touch()
        elif pip is not None:
            assert "--no-index" in arguments
            assert "--require-hashes" in arguments
        else:
            (made / "bin/orch").touch()
        if command in self.refuses:
            self.refuses.remove(command)
            raise venv.SetupError("no good", "hint")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pip:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Pip(monkeypatch)


FETCHED = ["create with pip", "download"]
INSTALLED = ["install from wheels", "install from wheels", "compile", "install"]  # the last is the project itself


def test_the_second_environment_needs_no_index(project: Path, pip: Pip) -> None:
    assert venv.main(project, project / ".venv") == 0
    assert pip.asked == FETCHED + INSTALLED
    pip.asked.clear()
    assert venv.main(project, project / "other") == 0
    assert pip.asked == ["create", *INSTALLED]
    wanted = [line for part in (0, 1) for line in (project / f"other/orch-requirements-{part}.txt").open()]
    assert "".join(wanted) == venv.requirements_text(PYPI)


def test_wheels_that_do_not_serve_are_fetched_again(project: Path, pip: Pip) -> None:
    assert venv.main(project, project / ".venv") == 0
    pip.asked.clear()
    pip.refuses = {"install"}
    assert venv.main(project, project / "other") == 0
    assert [word for word in pip.asked if not word.startswith("install")] == ["create", *FETCHED, "compile"]
    assert venv.wheels_folder(PYPI).is_dir()


def test_wheels_are_there_all_or_not_at_all(project: Path, pip: Pip, capsys: pytest.CaptureFixture[str]) -> None:
    pip.refuses = {"download"}
    assert venv.main(project, project / ".venv") == 6
    assert "error: no good" in capsys.readouterr().err
    assert list(venv.wheels_folder(PYPI).parent.iterdir()) == []
    assert not (project / ".venv" / venv.STAMP).exists()


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
        venv._pip(tmp_path, tmp_path / "log", "install")
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


@pytest.mark.parametrize("given", [{"PIP_USER": "1"}, {"PIP_TARGET": "/x"}, {"PIP_PREFIX": "/x", "PYTHONHOME": "/x"}])
@pytest.mark.parametrize("file", ["[global]\nuser = true\n", "[install]\ntarget = /x\n", "[install]\nprefix = /x\n"])
def test_where_pip_installs_is_not_for_settings_to_say(tmp_path: Path, given: dict[str, str], file: str) -> None:
    """pip itself is asked what it would do: a file's `target` cannot be taken back by a variable."""
    (tmp_path / "pip.conf").write_text(file)
    user = {**os.environ, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), **given}
    environment = venv.pip_environment(user, index=False)
    argv = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    assert told.split() == [":env:.config-file='/dev/null'"] or told == ""
    assert not set(given) & set(environment)


def test_the_index_of_the_user_is_asked(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://index.example/simple\nuser = true\n")
    user = {**os.environ, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_PROXY": "http://proxy.example"}
    argv = [sys.executable, "-m", "pip", "config", "list"]
    environment = venv.pip_environment(user, index=True)
    told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    assert "index-url='https://index.example/simple'" in told
    assert "proxy='http://proxy.example'" in told


def test_a_user_without_a_home(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: int) -> None:
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert venv.main(project, project / ".venv") == 6
    assert capsys.readouterr().err.startswith(
        "error: this user has no home folder\n  hint: set HOME, or XDG_CACHE_HOME"
    )


def test_a_pipe_that_does_not_wait(project: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    program = "import sys; from orchestrator.build import bootstrap, venv; bootstrap.say('one'); venv._say('two')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer) as process:
        os.close(writer)
        seen = b""
        while data := os.read(reader, 65536):
            seen += data
    os.close(reader)
    assert (process.returncode, seen.strip(b"\0")) == (0, b"one\ntwo\n")
