# SPDX-License-Identifier: Apache-2.0
"""The runner for this computer: its pure parts, and the whole with the library that the lock file pins."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import tiny_model
from runner_program import CLASSES, Runner
from workshop import FLAGS, SANITIZERS, Workshop

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "world" / "runner"
PURE = ("release", "options", "buffer", "packets")


@pytest.fixture(scope="session")
def harness(workshop: Workshop) -> Path:
    """The pure parts with sanitizers."""
    files = [Path(__file__).with_name("harness.c"), *(SOURCES / f"{name}.c" for name in PURE)]
    return workshop.program("harness", files, include=[SOURCES], link=["-lm"])


@pytest.fixture(scope="session")
def library(workshop: Workshop) -> Path:
    """The folder of the TFLite C library for this computer, out of the downloads of node litert."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    wheels = sorted(cache.glob("*/pymicro_wakeword-*_x86_64.whl"))
    if not wheels:
        pytest.skip("the TFLite library is fetched when node runner is built")

    def extract(folder: Path) -> None:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            wheel.extractall(folder)

    return workshop.once("tflite", extract) / "pymicro_wakeword" / "lib"


def link(workshop: Workshop, library: Path, *flags: str) -> Path:
    """Build the whole runner."""
    linking = [f"-L{library}", "-ltensorflowlite_c", "-lm", f"-Wl,-rpath,{library},--allow-shlib-undefined"]
    return workshop.program("runner", sorted(SOURCES.glob("*.c")), flags=[*FLAGS, *flags], link=linking)


@pytest.fixture(scope="session")
def checked_program(library: Path, workshop: Workshop) -> Path:
    return link(workshop, library, *SANITIZERS)


@pytest.fixture(scope="session")
def plain_program(library: Path, workshop: Workshop) -> Path:
    return link(workshop, library)


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
