# SPDX-License-Identifier: Apache-2.0
"""The runner for this computer: its pure parts, and the whole with the library that the lock file pins."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import tiny_model
from runner_program import CLASSES, Runner

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "world" / "runner"
PURE = ("release", "options", "buffer", "packets")
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiler() -> str:
    """The native compiler; without one the test is skipped."""
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc for the build host")
    return found


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pure parts with sanitizers."""
    out = tmp_path_factory.mktemp("runner") / "harness"
    files = [Path(__file__).with_name("harness.c"), *(SOURCES / f"{name}.c" for name in PURE)]
    subprocess.run([compiler(), *FLAGS, *SANITIZERS, f"-I{SOURCES}", "-o", out, *files, "-lm"], check=True)
    return out


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the TFLite C library for this computer, out of the downloads of node litert."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    wheels = sorted(cache.glob("*/pymicro_wakeword-*_x86_64.whl"))
    if not wheels:
        pytest.skip("the TFLite library is fetched when node runner is built")
    folder = tmp_path_factory.mktemp("tflite")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        wheel.extractall(folder)
    return folder / "pymicro_wakeword" / "lib"


def link(library: Path, out: Path, *flags: str) -> Path:
    """Build the whole runner."""
    files = sorted(SOURCES.glob("*.c"))
    linking = [f"-L{library}", "-ltensorflowlite_c", "-lm", f"-Wl,-rpath,{library},--allow-shlib-undefined"]
    subprocess.run([compiler(), *FLAGS, *flags, "-o", out, *files, *linking], check=True)
    return out


@pytest.fixture(scope="session")
def checked_program(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link(library, tmp_path_factory.mktemp("runner") / "runner", *SANITIZERS)


@pytest.fixture(scope="session")
def plain_program(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link(library, tmp_path_factory.mktemp("runner") / "runner")


@pytest.fixture
def runner(checked_program: Path, tmp_path: Path) -> Runner:
    """The runner with sanitizers."""
    return Runner(checked_program, tmp_path)


@pytest.fixture
def plain(plain_program: Path, tmp_path: Path) -> Runner:
    """The runner as it is shipped but for its optimisation; its address space can be limited."""
    return Runner(plain_program, tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A float32 model whose scores are its inputs."""
    path = tmp_path / "float.tflite"
    path.write_bytes(tiny_model.identity(CLASSES))
    return path


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """The same in int8: a score q stands for (q - 3) / 2."""
    path = tmp_path / "int8.tflite"
    path.write_bytes(tiny_model.identity(CLASSES, scale=0.5, zero=3))
    return path
