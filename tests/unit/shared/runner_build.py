# SPDX-License-Identifier: Apache-2.0
"""The runner for this computer, with a library of another release that has the same interface."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from workshop import FLAGS, Workshop

SOURCES = Path(__file__).parents[3] / "guest" / "world" / "runner"


def library(workshop: Workshop) -> Path:
    """The folder of the TFLite C library for this computer, out of the downloads of node litert."""
    inputs = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    wheels = sorted(inputs.glob("*/pymicro_wakeword-*_x86_64.whl"))
    if not wheels:
        pytest.skip("the TFLite library is fetched when node runner is built")

    def extract(folder: Path) -> None:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            wheel.extractall(folder)

    return workshop.once("tflite", extract) / "pymicro_wakeword" / "lib"


def build_runner(workshop: Workshop, *flags: str) -> Path:
    """The whole runner; without `flags` as it is shipped but for its optimisation."""
    folder = library(workshop)
    linking = [f"-L{folder}", "-ltensorflowlite_c", "-lm", f"-Wl,-rpath,{folder},--allow-shlib-undefined"]
    return workshop.program("runner", sorted(SOURCES.glob("*.c")), flags=[*FLAGS, *flags], link=linking)
