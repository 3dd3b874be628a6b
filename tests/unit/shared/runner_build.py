# SPDX-License-Identifier: Apache-2.0
"""The runner for this computer, with a library of another release that has the same interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "guest" / "world" / "runner"
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla"]
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # are removed when the tests end


def compiler() -> str:
    """The native compiler; without one the test is skipped."""
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc for the build host")
    return found


def scratch() -> Path:
    """A folder that lasts as long as the tests."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="orch-runner-"))
    return Path(_FOLDERS[-1].name)


@cache
def library() -> Path:
    """The folder of the TFLite C library for this computer, out of the downloads of node litert."""
    inputs = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    wheels = sorted(inputs.glob("*/pymicro_wakeword-*_x86_64.whl"))
    if not wheels:
        pytest.skip("the TFLite library is fetched when node runner is built")
    folder = scratch()
    with zipfile.ZipFile(wheels[-1]) as wheel:
        wheel.extractall(folder)
    return folder / "pymicro_wakeword" / "lib"


def link(out: Path, *flags: str) -> Path:
    """Build the whole runner."""
    files, folder = sorted(SOURCES.glob("*.c")), library()
    linking = [f"-L{folder}", "-ltensorflowlite_c", "-lm", f"-Wl,-rpath,{folder},--allow-shlib-undefined"]
    subprocess.run([compiler(), *FLAGS, *flags, "-o", out, *files, *linking], check=True)
    return out


@cache
def plain_runner() -> Path:
    """The runner as it is shipped but for its optimisation."""
    return link(scratch() / "runner")
