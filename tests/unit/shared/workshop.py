# SPDX-License-Identifier: Apache-2.0
"""What tests make for this computer is made once a session, whichever of its processes needs it first."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla")
FLAGS = ("-std=gnu11", "-O1", "-g", *WARNINGS)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler() -> str:
    """The native compiler; without one the test is skipped."""
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc for the build host")
    return found


def _key(parts: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _content(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@dataclass(frozen=True)
class Workshop:
    """A folder that all workers of a test session share; what is in it is named by what it is made of."""

    folder: Path

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder `name`, filled by `make` if nobody has done so; one that fails leaves none."""
        done = self.folder / name
        with FileLock(f"{done}.lock"):
            if not done.exists():
                scratch = self.folder / f"{name}.scratch"
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                make(scratch)
                scratch.rename(done)
        return done

    def program(
        self,
        name: str,
        sources: Sequence[Path],
        *,
        flags: Sequence[str] = (*FLAGS, *SANITIZERS),
        include: Sequence[Path] = (),
        link: Sequence[str | Path] = (),
    ) -> Path:
        """The program of these C files. `include`: folders of headers; `link`: words behind the objects."""
        objects = self._objects(sources, flags, include)
        folder = f"{name}-{_key([*objects, *flags, *link])}"

        def make(scratch: Path) -> None:
            subprocess.run([compiler(), *flags, "-o", scratch / name, *objects, *link], check=True)

        return self.once(folder, make) / name

    def _objects(self, sources: Sequence[Path], flags: Sequence[str], include: Sequence[Path]) -> list[Path]:
        """One for each source. Processes that want the same ones share the work: what one has in hand others leave."""
        beside = {path.parent for path in sources}
        headers = sorted(path for folder in {*include, *beside} for path in folder.rglob("*.h"))
        around = _key([*flags, *include, *headers, *_content(headers)])
        found = {self.folder / f"{path.stem}-{_key([around, *_content([path])])}.o": path for path in sources}
        words = [*flags, *(f"-I{folder}" for folder in include)]
        for patience in (0, -1):
            for made, source in found.items():
                self._object(made, source, words, patience)
        return [*found]

    @staticmethod
    def _object(made: Path, source: Path, words: Sequence[str], patience: int) -> None:
        try:
            with FileLock(f"{made}.lock", timeout=patience):
                if not made.exists():
                    scratch = made.with_suffix(f".{os.getpid()}")
                    subprocess.run([compiler(), *words, "-c", "-o", scratch, source], check=True)
                    scratch.rename(made)
        except Timeout:
            pass
