# SPDX-License-Identifier: Apache-2.0
"""Pins of the Python packages that orch itself runs on; used by `orch lock --update` only."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orchestrator.build.run import CommandError, run
from orchestrator.build.venv import requirements, requirements_digest
from orchestrator.errors import BuildError, EnvError
from orchestrator.schema.lock import LockedPackage, LockedPypi

PYTHONS = ("3.11", "3.12", "3.13")
_NEWEST_GLIBC = 41  # Debian 13; a wheel for a newer C library is of no use there
_COMPILE_TIMEOUT = 900.0
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
Notify = Callable[[str], None]


def compile_lock(project: Path, notify: Notify) -> LockedPypi:
    """Resolve pyproject.toml's dependencies (all extras and the build backend) and list their usable files.

    Raises BuildError (a package without files for a supported Python) or EnvError (pip-tools or index not usable).
    """
    with (project / "pyproject.toml").open("rb") as stream:
        wanted = requirements(tomllib.load(stream))
    notify(f"resolving {len(wanted)} Python requirements")
    pins = _compile(wanted)
    notify(f"reading the file lists of {len(pins)} Python packages")
    return LockedPypi(request=requirements_digest(wanted), python=list(PYTHONS), packages=_lock_files(pins))


def parse_pins(text: str) -> list[tuple[str, str]]:
    """Name and version of each line of a compiled requirements file."""
    found = [match.groups() for line in text.splitlines() if (match := _PIN.match(line))]
    return [(re.sub(r"[-_.]+", "-", name).lower(), version.rstrip("\\").rstrip(";")) for name, version in found]


def _compile(wanted: Iterable[str]) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="orch-lock-") as folder:
        source, target = Path(folder) / "wanted.in", Path(folder) / "pinned.txt"
        source.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
        flags = "--quiet --allow-unsafe --strip-extras --no-annotate --no-header --no-emit-index-url"
        flags += " --no-emit-trusted-host --no-emit-find-links"
        argv: list[str | Path] = [sys.executable, "-m", "piptools", "compile", *flags.split()]
        argv += ["--output-file", target, source]
        try:
            run(argv, timeout=_COMPILE_TIMEOUT)
        except CommandError as error:
            last = next((line for line in reversed(error.output.splitlines()) if line.strip()), error.message)
            raise EnvError(f"Python packages cannot be resolved: {last}", hint=error.hint) from None
        return sorted(parse_pins(target.read_text(encoding="utf-8")))


def _lock_files(pins: list[tuple[str, str]]) -> list[LockedPackage]:
    """Checksums of the wheels that the supported Pythons can install."""
    try:
        from piptools.repositories import PyPIRepository  # noqa: PLC0415 - a development tool, absent at run time
    except ImportError:
        raise EnvError("pip-tools is missing", hint="run `make testbed`, which makes .venv anew") from None
    logging.getLogger("pip").setLevel(logging.ERROR)
    packages = []
    with tempfile.TemporaryDirectory(prefix="orch-lock-") as folder:
        repository = PyPIRepository([], cache_dir=folder)
        for name, version in pins:
            with repository.allow_all_wheels():
                candidates = repository.find_all_candidates(name)
            links = [candidate.link for candidate in candidates if str(candidate.version) == version]
            files = {str(link.filename): link.hash for link in links if link.hash_name == "sha256" and link.hash}
            packages.append(LockedPackage(name=name, version=version, sha256=usable(name, version, files)))
    return packages


def usable(name: str, version: str, files: dict[str, str]) -> list[str]:
    """Checksums of the wheels in `files` (name to SHA-256) that fit; raises BuildError if a Python has none."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415 - comes with pip-tools

    found = set()
    for python in PYTHONS:
        tags = _tags(python)
        fitting = set()
        for filename, digest in files.items():
            try:
                if filename.endswith(".whl") and parse_wheel_filename(filename)[3] & tags:
                    fitting.add(digest)
            except InvalidWheelFilename:
                continue
        if not fitting:
            raise BuildError(f"{name} {version} has no wheel for CPython {python} on x86-64 Linux")
        found |= fitting
    return sorted(found)


def _tags(python: str) -> frozenset[Any]:
    """All wheel tags that a Python accepts on x86-64 Linux."""
    from packaging import tags  # noqa: PLC0415 - comes with pip-tools

    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(_NEWEST_GLIBC, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    major, minor = (int(part) for part in python.split("."))
    native = tags.cpython_tags((major, minor), platforms=platforms)
    common = tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)
    return frozenset(native) | frozenset(common)
