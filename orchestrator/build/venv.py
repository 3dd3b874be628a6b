# SPDX-License-Identifier: Apache-2.0
"""Make the project's virtual environment from the pins in orch.lock.json. Standard library only.

Run by the system's Python before anything else is there: `python3 orchestrator/build/venv.py .venv`. Doing nothing
takes well under 0.1 s. An attempt that was killed leaves no stamp, so the next one starts over (from pip's cache).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

MINIMUM_PYTHON = (3, 11)
STAMP = "orch-stamp.json"
LOG = "orch-install.log"
_PIP_TIMEOUT = 1800
_NEEDED_MIB = 300
UNREACHABLE = re.compile(
    r"NewConnectionError|Failed to establish a new connection|Max retries exceeded|ConnectTimeout|ReadTimeout"
    r"|Name or service not known|Temporary failure in name resolution|ProxyError|Network is unreachable"
)
CHANGED = re.compile(r"^ +(\S+==\S+) from .*\n +Expected sha256 (\w+)\n +Got +(\w+)", re.MULTILINE)


class SetupError(Exception):
    """A failure with a one-line message, a hint and an exit code of orch (3 build, 6 environment)."""

    def __init__(self, message: str, hint: str, code: int = 6) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def requirements(pyproject: dict[str, Any]) -> list[str]:
    """All requirement lines of a pyproject.toml: run time, extras, build backend."""
    table = pyproject.get("project", {})
    lines = [*table.get("dependencies", []), *pyproject.get("build-system", {}).get("requires", [])]
    for extra in table.get("optional-dependencies", {}).values():
        lines += extra
    return sorted(set(lines))


def requirements_digest(lines: list[str]) -> str:
    """Short hash of requirement lines; the lock keeps it to notice edited dependencies."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def stamp_of(pypi: dict[str, Any], pyproject: bytes, checkout: Path) -> dict[str, str]:
    """What an environment was made from; it is good as long as this stays the same."""
    packages = json.dumps(pypi, sort_keys=True).encode()
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor} {sys.base_prefix}",
        "packages": hashlib.sha256(packages).hexdigest(),
        "project": hashlib.sha256(pyproject).hexdigest(),
        "checkout": str(checkout.resolve()),  # scripts name their interpreter by its full path
    }


def requirements_text(pypi: dict[str, Any]) -> str:
    """The pins as a requirements file for pip's hash-checking mode."""
    lines = []
    for package in pypi["packages"]:
        hashes = "".join(f" --hash=sha256:{digest}" for digest in package["sha256"])
        lines.append(f"{package['name']}=={package['version']}{hashes}\n")
    return "".join(lines)


def read_stamp(venv: Path) -> dict[str, str]:
    """The stamp of an environment, empty if it has none."""
    try:
        found = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def main(project: Path, venv: Path) -> int:
    """Bring the environment up to date; returns an exit code."""
    try:
        if sys.version_info < MINIMUM_PYTHON:
            raise SetupError(f"Python {sys.version.split()[0]} is too old", "Python 3.11 or newer is needed")
        pypi, pyproject = _read(project)
        wanted = stamp_of(pypi, pyproject, project)
        if read_stamp(venv) == wanted and (venv / "bin/orch").exists():
            return 0
        _check(pypi, pyproject)
        _make(project, venv, pypi, wanted)
    except SetupError as error:
        sys.stderr.write(f"error: {error}\n  hint: {error.hint}\n")
        return error.code
    except OSError as error:
        sys.stderr.write(f"error: {error.filename or venv}: {error.strerror}\n  hint: check permissions and space\n")
        return 6
    return 0


def _read(project: Path) -> tuple[dict[str, Any], bytes]:
    """The Python part of the lock, and pyproject.toml."""
    try:
        pypi = json.loads((project / "orch.lock.json").read_text(encoding="utf-8"))["pypi"]
        requirements_text(pypi)
    except (ValueError, KeyError, TypeError):
        raise SetupError("orch.lock.json is damaged", "restore it from version control", 3) from None
    return pypi, (project / "pyproject.toml").read_bytes()


def _check(pypi: dict[str, Any], pyproject: bytes) -> None:
    """Fail before anything is downloaded."""
    if pypi.get("request") != requirements_digest(requirements(tomllib.loads(pyproject.decode()))):
        hint = "run `.venv/bin/orch lock --update pypi` in an environment made before the edit"
        raise SetupError("the dependencies in pyproject.toml are not those that orch.lock.json pins", hint, 3)
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError("Python cannot make virtual environments", f"apt-get install python{version}-venv")


def _make(project: Path, venv: Path, pypi: dict[str, Any], wanted: dict[str, str]) -> None:
    """Create or complete the environment, one process at a time."""
    guard = os.open(project, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        found = read_stamp(venv)
        if found == wanted and (venv / "bin/orch").exists():
            return
        log = venv / LOG
        if any(found.get(key) != wanted[key] for key in ("python", "packages")) or not (venv / "bin/python").exists():
            _create(venv)
            log.write_text("", encoding="utf-8")
            _install_packages(venv, pypi, log)
        _say("installing the project (editable)")
        (venv / STAMP).unlink(missing_ok=True)
        _pip(venv, log, "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(project))
        scratch = venv / f"{STAMP}.new"
        scratch.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        scratch.replace(venv / STAMP)
    finally:
        os.close(guard)


def _create(venv: Path) -> None:
    """An empty environment; what was there must be one too, since it is cleared."""
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        raise SetupError(f"{venv} exists and is not a virtual environment", "move it away")
    free = shutil.disk_usage(venv.parent).free >> 20
    if free < _NEEDED_MIB:
        raise SetupError(f"not enough space for {venv}: {free} MiB free, {_NEEDED_MIB} needed", "free some")
    _say(f"making {venv} with Python {sys.version.split()[0]}")
    (venv / STAMP).unlink(missing_ok=True)
    argv = [sys.executable, "-m", "venv", "--clear", str(venv)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PIP_TIMEOUT)
    if done.returncode != 0:
        text = (done.stdout + done.stderr).strip()
        lacking = "ensurepip is not available" in text
        hint = "apt-get install python3-venv" if lacking else f"command: {' '.join(argv)}"
        raise SetupError(f"cannot make {venv}: {_last_line(text)}", hint)


def _install_packages(venv: Path, pypi: dict[str, Any], log: Path) -> None:
    """Install exactly the pinned packages, from wheels only: nothing is built or run at installation."""
    _say(f"installing {len(pypi['packages'])} pinned Python packages")
    wanted = venv / "orch-requirements.txt"
    wanted.write_text(requirements_text(pypi), encoding="utf-8")
    _pip(venv, log, "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(wanted))


def _pip(venv: Path, log: Path, *arguments: str) -> None:
    """Run pip with this user's index and proxy settings; raises SetupError with the likely cause."""
    argv = [str(venv / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    environment = {**os.environ, "PIP_CONSTRAINT": os.devnull, "PIP_REQUIRE_VIRTUALENV": "0"}
    with log.open("a", encoding="utf-8") as sink:
        start = sink.tell()
        done = subprocess.run(
            argv, stdout=sink, stderr=subprocess.STDOUT, env=environment, check=False, timeout=_PIP_TIMEOUT
        )
    if done.returncode == 0:
        return
    text = log.read_text(encoding="utf-8", errors="replace")[start:]
    raise _explain(text, log)


def _explain(text: str, log: Path) -> SetupError:
    """The likely cause of what pip printed."""
    settings = f"check the network and pip's index and proxy settings (pip config list); log: {log}"
    changed = CHANGED.search(text)
    if changed:
        name, expected, got = changed.groups()
        return SetupError(f"corrupt download: {name}: expected SHA-256 {expected}, got {got}", f"log: {log}", 3)
    if "No space left" in text:
        return SetupError("no space left for the Python packages", f"free some at {log.parent}")
    if UNREACHABLE.search(text):
        return SetupError("the index of Python packages cannot be reached", settings)
    if "No matching distribution found" in text:
        return SetupError(f"the index lacks a pinned package: {_last_error(text)}", settings)
    return SetupError(f"pip failed: {_last_error(text)}", f"log: {log}", 3)


def _last_error(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else _last_line(text)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no message")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _project = Path(__file__).resolve().parents[2]
    sys.exit(main(_project, Path(sys.argv[1] if len(sys.argv) > 1 else _project / ".venv").absolute()))
