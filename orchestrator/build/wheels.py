# SPDX-License-Identifier: Apache-2.0
"""Wheels as package sets: pip finds and fetches them, from whatever index pip is set up with."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build import apt
from orchestrator.build.cache import make_folder, remove_tree
from orchestrator.build.run import CommandError, run
from orchestrator.build.venv import CHANGED, UNREACHABLE, pip_environment
from orchestrator.errors import BuildError, EnvError, UsageError
from orchestrator.schema.lock import LockedFile
from orchestrator.schema.packages import PackageSpec

SUITE = "pypi"  # where a mirror has the name of a suite
_TIMEOUT = 1800.0
_ABSENT = re.compile(r"No matching distribution found|Could not find a version that satisfies")


@dataclass(frozen=True)
class Wanted:
    """One wheel by package, version and the tags of its file name; with `sha256`, no other file will do."""

    package: str
    version: str
    python: str
    abi: str
    platforms: tuple[str, ...]
    sha256: str | None = None

    @classmethod
    def of(cls, file: LockedFile) -> Wanted:
        """The request that leads to exactly this file."""
        python, abi, platform = tags(file.name)
        return cls(file.package, file.version, python, abi, tuple(platform.split(".")), file.sha256)

    def requirement(self) -> str:
        """A line for pip's requirements file."""
        pinned = f"{self.package}=={self.version}"
        return f"{pinned} --hash=sha256:{self.sha256}\n" if self.sha256 else f"{pinned}\n"

    def flags(self) -> list[str]:
        """What makes pip look for these tags and not for those of the Python that it runs on."""
        # A name may list several tags (py2.py3); the last is the newest.
        python, abi = self.python.rpartition(".")[2], self.abi.rpartition(".")[2]
        flags = ["--implementation", python[:2], "--python-version", python[2:], "--abi", abi]
        for platform in self.platforms:
            flags += ["--platform", platform]
        return flags


def tags(name: str) -> tuple[str, str, str]:
    """Python, ABI and platform tag of a wheel's file name (binary distribution format: NAME-VERSION[-BUILD]-P-A-P)."""
    parts = name.removesuffix(".whl").rsplit("-", 3)
    if len(parts) != 4 or "-" not in parts[0]:
        raise BuildError(f"not the file name of a wheel: {name}")
    return parts[1], parts[2], parts[3]


def resolve(name: str, spec: PackageSpec) -> LockedFile:
    """The wheel that a request of kind `wheel` leads to; raises BuildError (there is none) or EnvError (index)."""
    package, version = str(spec.package), str(spec.version)
    wanted = Wanted(package, version, str(spec.python), str(spec.abi), tuple(spec.platform))
    with tempfile.TemporaryDirectory(prefix="orch-wheel-") as folder:
        path = download(wanted, Path(folder) / "pip")
        if path is None:
            tag = f"{spec.python}-{spec.abi}-{'|'.join(spec.platform)}"
            raise BuildError(
                f"package set '{name}': the package index has no wheel {package} {version} for {tag}",
                hint="version and tags are set in images/packages.yaml",
            )
        return _pinned(path)


def resolve_closure(name: str, spec: PackageSpec) -> list[LockedFile]:
    """The wheels that a request of kind `wheels` leads to; raises BuildError (one is missing) or EnvError (index).

    pip judges markers (`; python_version < ...`) by the Python that it runs on, not by the one asked for.
    """
    python = str(spec.python)
    tags_asked = Wanted("", "", python, python, tuple(spec.platform))
    with tempfile.TemporaryDirectory(prefix="orch-wheels-") as folder:
        text = "".join(f"{line}\n" for line in spec.requirements)
        try:
            found = {_normal(file.package): file for file in map(_pinned, _fetch(text, tags_asked, Path(folder), True))}
        except CommandError as error:
            if _ABSENT.search(error.output) and not UNREACHABLE.search(error.output):
                raise BuildError(
                    f"package set '{name}': the package index lacks a wheel for {python}: {_complaint(error)}",
                    hint="versions and tags are set in images/packages.yaml",
                ) from None
            raise _failure(", ".join(spec.requirements), error) from None
    unknown = [each for each in spec.exclude if _normal(each) not in found]
    if unknown:
        raise UsageError(f"images/packages.yaml: packages.{name}.exclude: nothing there needs '{unknown[0]}'")
    left_out = {_normal(each) for each in spec.exclude}
    return [file for package, file in sorted(found.items()) if package not in left_out]


def _normal(package: str) -> str:
    """The name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _pinned(path: Path) -> LockedFile:
    """What the lock keeps of a wheel that was fetched."""
    package, version = path.name.split("-")[:2]
    return LockedFile(
        package=_normal(package),
        version=version,
        architecture=tags(path.name)[2],
        path=path.name,
        size=path.stat().st_size,
        sha256=apt.sha256_of(path),
    )


def download(wanted: Wanted, folder: Path, cancel: threading.Event | None = None) -> Path | None:
    """Fetch one wheel into an emptied `folder`; None if the index has none such.

    Raises BuildError (the file has another checksum) or EnvError (no pip, no index, cancelled).
    """
    try:
        [path] = _fetch(wanted.requirement(), wanted, folder, False, cancel)
    except CommandError as error:
        if _ABSENT.search(error.output) and not UNREACHABLE.search(error.output):
            return None
        raise _failure(f"{wanted.package} {wanted.version}", error) from None
    return path


def _fetch(
    requirements: str, asked: Wanted, folder: Path, dependencies: bool, cancel: threading.Event | None = None
) -> list[Path]:
    """Let pip fetch the wheels of a requirements file into an emptied folder; raises CommandError."""
    remove_tree(folder)
    make_folder(folder)
    listed = folder / "wanted.txt"
    listed.write_text(requirements, encoding="utf-8")
    argv: list[str | Path] = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    argv += ["--disable-pip-version-check", "--only-binary=:all:", "--ignore-requires-python"]
    argv += [] if dependencies else ["--no-deps"]
    argv += [*asked.flags(), "--dest", folder, "--requirement", listed]
    environment = {**pip_environment(os.environ, index=True), "LC_ALL": "C"}
    run(argv, env=environment, timeout=_TIMEOUT, cancel=cancel)
    return sorted(folder.glob("*.whl"))


def _failure(what: str, error: CommandError) -> BuildError | EnvError:
    """What pip's complaint means."""
    changed = CHANGED.search(error.output)
    if changed:
        return apt.corrupt(what, changed[2], changed[3])
    if UNREACHABLE.search(error.output):
        hint = "check the network and the index that pip is set up with (`pip config list`)"
        return EnvError(f"the Python package index cannot be reached for {what}", hint=hint)
    return EnvError(f"pip cannot fetch {what}: {_complaint(error)}", hint=error.hint)


def _complaint(error: CommandError) -> str:
    lines = [line.strip() for line in error.output.splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("ERROR:")), error.message)
    return told.removeprefix("ERROR:").strip()
