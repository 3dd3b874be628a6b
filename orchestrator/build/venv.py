# SPDX-License-Identifier: Apache-2.0
"""Make the project's virtual environment from the pins in orch.lock.json. Standard library only.

Run by the system's Python before anything else is there: `python3 orchestrator/build/venv.py .venv`. Doing nothing
takes well under 0.1 s. An attempt that was killed leaves no stamp, so the next one starts over. Wheels are kept in the
user's cache: the next environment from the same pins, of another checkout for example, needs no index.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import select
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MINIMUM_PYTHON = (3, 11)
STAMP = "orch-stamp.json"
LOG = "orch-install.log"
_PIP_TIMEOUT = 1800
_NEEDED_MIB = 700
_WHEELS_MIB = 200
_PIPS = 2
_PYTHONS = ("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE")  # that of the environment has its own
_PINNED = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
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
        hint = "check permissions and space; XDG_CACHE_HOME moves the cache"
        sys.stderr.write(f"error: {error.filename or venv}: {error.strerror}\n  hint: {hint}\n")
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


def _cache() -> Path:
    """The user's cache folder; raises SetupError for one who has none."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        hint = "set HOME, or XDG_CACHE_HOME, to a folder you can write to"
        raise SetupError("this user has no home folder", hint) from None


def wheels_folder(pypi: dict[str, Any]) -> Path:
    """Where the wheels of these pins for this Python are kept: all of them, or the folder is not there."""
    content = json.dumps([requirements_text(pypi), sys.implementation.cache_tag, platform.machine()])
    return _cache() / "orch/wheels" / hashlib.sha256(content.encode()).hexdigest()[:32]


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
            _fill(venv, pypi, log)
        _say("installing the project (editable)")
        (venv / STAMP).unlink(missing_ok=True)
        _pip(venv, log, "install", "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(project))
        scratch = venv / f"{STAMP}.new"
        scratch.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        scratch.replace(venv / STAMP)
    finally:
        os.close(guard)


def _fill(venv: Path, pypi: dict[str, Any], log: Path) -> None:
    """A new environment with the pinned packages; wheels that have become damaged are fetched anew, once."""
    folder = wheels_folder(pypi)
    if folder.is_dir():
        _create(venv, with_pip=False)
        try:
            _install_packages(venv, pypi, folder, log)
        except SetupError as error:
            _say(f"{folder} does not serve ({error}), fetching its wheels again")
            shutil.rmtree(folder)
        else:
            return
    _create(venv, with_pip=True)
    _fetch_wheels(venv, pypi, folder, log)
    _install_packages(venv, pypi, folder, log)


def _create(venv: Path, *, with_pip: bool) -> None:
    """An empty environment; what was there must be one too, since it is cleared."""
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        raise SetupError(f"{venv} exists and is not a virtual environment", "move it away")
    _need_space(venv.parent, _NEEDED_MIB)
    _say(f"making {venv} with Python {sys.version.split()[0]}")
    (venv / STAMP).unlink(missing_ok=True)
    argv = [sys.executable, "-m", "venv", "--clear", *([] if with_pip else ["--without-pip"]), str(venv)]
    environment = pip_environment(os.environ, index=False)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PIP_TIMEOUT, env=environment)
    if done.returncode != 0:
        text = (done.stdout + done.stderr).strip()
        lacking = "ensurepip is not available" in text
        hint = "apt-get install python3-venv" if lacking else f"command: {' '.join(argv)}"
        raise SetupError(f"cannot make {venv}: {_last_line(text)}", hint)


def _need_space(folder: Path, mib: int) -> None:
    free = shutil.disk_usage(folder).free >> 20
    if free < mib:
        raise SetupError(f"not enough space in {folder}: {free} MiB free, {mib} needed", "free some")


def _fetch_wheels(venv: Path, pypi: dict[str, Any], folder: Path, log: Path) -> None:
    """Download every wheel into `folder`, which appears by one rename; `venv` has the pip that does it."""
    _say(f"fetching the wheels of {len(pypi['packages'])} pinned Python packages")
    scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        _need_space(scratch, _WHEELS_MIB)
        wanted = scratch / "wanted.txt"
        wanted.write_text(requirements_text(pypi), encoding="utf-8")
        _pip(venv, log, "download", *_PINNED, "--dest", str(scratch), "--requirement", str(wanted))
        if not folder.exists():  # another checkout may have been quicker
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install_packages(venv: Path, pypi: dict[str, Any], folder: Path, log: Path) -> None:
    """Install exactly the pinned packages, from the wheels in `folder` only: nothing is built or run.

    Several pips share the work. No package needs another to be installed, and no two have a file in common.
    """
    _say(f"installing {len(pypi['packages'])} pinned Python packages")
    pip = next(folder.glob("pip-*.whl"), None)
    if pip is None:
        raise SetupError(f"{folder} has no wheel of pip", "restore orch.lock.json from version control", 3)

    def install(part: int) -> None:
        wanted = venv / f"orch-requirements-{part}.txt"
        wanted.write_text(requirements_text({"packages": pypi["packages"][part::_PIPS]}), encoding="utf-8")
        source = ("--no-index", "--find-links", str(folder), "--no-compile", "--requirement", str(wanted))
        _pip(venv, log.with_stem(f"{log.stem}-{part}"), "install", *_PINNED, *source, pip=pip)

    with ThreadPoolExecutor(_PIPS) as pool:
        list(pool.map(install, range(_PIPS)))
    _compile(venv, log)


def _compile(venv: Path, log: Path) -> None:
    """Byte-compile what was installed, on all cores; tests of packages, half of it, are left for who imports them."""
    argv = [str(venv / "bin/python"), "-m", "compileall", "-q", "-j", "0", "-x", "site-packages/.*/tests?/"]
    with log.open("a", encoding="utf-8") as sink:  # what does not compile is told there, and when it is imported
        subprocess.run([*argv, str(venv / "lib")], stdout=sink, stderr=sink, check=False, timeout=_PIP_TIMEOUT)


def pip_environment(given: Mapping[str, str], *, index: bool) -> dict[str, str]:
    """The variables that pip sees: with this user's settings where it needs an `index` and a proxy, else without.

    What says where things are installed (`user`, `target`, `prefix`), or which, is never asked: a file's value could
    not be taken back by a variable.
    """
    kept = {key: value for key, value in given.items() if key not in _PYTHONS}
    if index:
        return {**kept, "PIP_CONSTRAINT": os.devnull, "PIP_REQUIRE_VIRTUALENV": "0"}
    kept = {key: value for key, value in kept.items() if not key.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull}


def _pip(venv: Path, log: Path, command: str, *arguments: str, pip: Path | None = None) -> None:
    """Run pip (that of the environment, or the one in a wheel); raises SetupError with the likely cause."""
    argv = [str(venv / "bin/python"), "-m", "pip", command, "--disable-pip-version-check", "--no-input", *arguments]
    environment = pip_environment(os.environ, index=command == "download")
    if pip is not None:
        environment["PYTHONPATH"] = str(pip)
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
    """Print at once, also into a pipe, and into one that somebody has made not wait."""
    sys.stdout.write(text + "\n")
    while True:
        try:
            sys.stdout.flush()
        except BlockingIOError:
            select.select([], [sys.stdout], [])
        else:
            return


if __name__ == "__main__":
    _project = Path(__file__).resolve().parents[2]
    sys.exit(main(_project, Path(sys.argv[1] if len(sys.argv) > 1 else _project / ".venv").absolute()))
