# SPDX-License-Identifier: Apache-2.0
"""The attacks' programs, compiled for this computer with sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "host" / "attack"
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def _compile(out: Path, files: list[Path], sanitizers: list[str] = SANITIZERS) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc for the build host")
    subprocess.run([compiler, *FLAGS, *sanitizers, f"-I{SOURCES}", "-o", out, *files], check=True)
    return out


@pytest.fixture(scope="session")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole program."""
    return _compile(tmp_path_factory.mktemp("attack") / "attack", sorted(SOURCES.glob("*.c")))


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pure parts that the program only uses with the memory of a machine."""
    files = [Path(__file__).with_name("harness.c"), SOURCES / "page_cache.c"]
    return _compile(tmp_path_factory.mktemp("attack") / "harness", files)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pass over physical memory; without sanitizers, which take the signals that it lives on."""
    names = ("sweep", "exposed", "needles", "say")
    files = [Path(__file__).with_name("sweep_harness.c"), *(SOURCES / f"{name}.c" for name in names)]
    return _compile(tmp_path_factory.mktemp("attack") / "sweep", files, [])
