# SPDX-License-Identifier: Apache-2.0
"""The runner for this computer: its pure parts, and the whole with the library that the lock file pins."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_model
from runner_build import SOURCES, build_runner
from runner_program import CLASSES, Runner
from workshop import SANITIZERS, Workshop

PURE = ("release", "options", "buffer", "packets")


@pytest.fixture(scope="session")
def harness(workshop: Workshop) -> Path:
    """The pure parts with sanitizers."""
    files = [Path(__file__).with_name("harness.c"), *(SOURCES / f"{name}.c" for name in PURE)]
    return workshop.program("harness", files, include=[SOURCES], link=["-lm"])


@pytest.fixture(scope="session")
def checked_program(workshop: Workshop) -> Path:
    return build_runner(workshop, *SANITIZERS)


@pytest.fixture
def runner(checked_program: Path, tmp_path: Path) -> Runner:
    """The runner with sanitizers."""
    return Runner(checked_program, tmp_path)


@pytest.fixture
def plain(plain_runner: Path, tmp_path: Path) -> Runner:
    """The runner as it is shipped but for its optimisation; its address space can be limited."""
    return Runner(plain_runner, tmp_path)


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
