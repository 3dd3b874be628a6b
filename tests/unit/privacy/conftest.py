# SPDX-License-Identifier: Apache-2.0
"""The attacks' programs, compiled for this computer with sanitizers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from workshop import FLAGS, SANITIZERS, Workshop

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "host" / "attack"


def _compile(workshop: Workshop, name: str, files: list[Path], sanitizers: Sequence[str] = SANITIZERS) -> Path:
    return workshop.program(name, files, flags=[*FLAGS, *sanitizers], include=[SOURCES])


@pytest.fixture(scope="session")
def attack(workshop: Workshop) -> Path:
    """The whole program."""
    return _compile(workshop, "attack", sorted(SOURCES.glob("*.c")))


@pytest.fixture(scope="session")
def harness(workshop: Workshop) -> Path:
    """Pure parts that the program only uses with the memory of a machine."""
    files = [Path(__file__).with_name("harness.c"), SOURCES / "page_cache.c", SOURCES / "needles.c"]
    return _compile(workshop, "harness", files)


@pytest.fixture(scope="session")
def sweep(workshop: Workshop) -> Path:
    """The pass over physical memory; without sanitizers, which take the signals that it lives on."""
    names = ("sweep", "exposed", "needles", "ram", "say")
    files = [Path(__file__).with_name("sweep_harness.c"), *(SOURCES / f"{name}.c" for name in names)]
    return _compile(workshop, "sweep", files, ())
