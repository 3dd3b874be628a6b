# SPDX-License-Identifier: Apache-2.0
"""The VMM's pure parts, compiled for this computer with sanitizers, behind a line protocol (harness.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workshop import FLAGS, SANITIZERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workshop import Workshop

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "host" / "rvmm"
ABI = PROJECT / "guest" / "abi"
PURE = [
    *("layout", "population", "pl011", "gic_state", "gic", "gic_mmio", "timer", "realm_decode"),
    *("page_set", "console", "pl031", "disk"),
    *(
        "virtio",
        "virtio_mmio",
        "virtqueue",
        "virtio_rng",
        "virtio_net",
        "virtio_console",
        "keyboard",
        "entropy",
        "error",
    ),
]
HARNESS = ["harness", "harness_virtio", "harness_net", "harness_realm"]
DESCRIBE = [
    *("main", "command_dtb", "command_describe", "describe", "options", "error"),
    *("content", "layout", "devtree", "population", "realm_params"),
]
WRAP = ["command_wrap", "vmm_process", "console", "rundir", "detach", "error", "tap", "options", "oom"]


class Harness:
    """One run of the program; a command is a name and words."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def text(self, line: str) -> str:
        """The answer to a line as it is; a program that died fails the test."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the program died at: {line[:80]} (its last words are on stderr)"
        return answer.rstrip("\n")

    def ask(self, name: str, *words: int) -> list[int]:
        """The answer's words."""
        return [int(word, 16) for word in self.text(" ".join([name, *(f"{word:x}" for word in words)])).split()]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0, "the sanitizers complained"


@pytest.fixture(scope="session")
def program(workshop: Workshop) -> Path:
    files = [*(Path(__file__).with_name(f"{name}.c") for name in HARNESS), *(SOURCES / f"{name}.c" for name in PURE)]
    return workshop.program("harness", files, include=[SOURCES, ABI])


@pytest.fixture
def harness(program: Path) -> Iterator[Harness]:
    running = Harness(program)
    yield running
    running.close()


@pytest.fixture(scope="session")
def describe(workshop: Workshop) -> Path:
    """`rvmm` for this computer (`dump-dtb` alone), with the libfdt that the lock file pins."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    packages = sorted(cache.glob("*/libfdt-dev_*_amd64.deb"))
    if not packages or shutil.which("dpkg-deb") is None:
        pytest.skip("libfdt is fetched when node rvmm is built")
    folder = workshop.once("libfdt", lambda place: subprocess.run(["dpkg-deb", "-x", packages[0], place], check=True))
    files = [SOURCES / f"{name}.c" for name in DESCRIBE]
    library = folder / "usr/lib/x86_64-linux-gnu/libfdt.a"
    flags = [*FLAGS, *SANITIZERS, "-isystem", str(folder / "usr/include")]
    return workshop.program("rvmm", files, flags=flags, include=[ABI], link=[library])


@pytest.fixture(scope="session")
def wrap(workshop: Workshop) -> Path:
    """`rvmm wrap` for this computer; a tap would take privileges and is left to the emulator's tests."""
    files = [Path(__file__).with_name("harness_wrap.c"), *(SOURCES / f"{name}.c" for name in WRAP)]
    return workshop.program("rvmm", files, include=[SOURCES, ABI], link=["-pthread"])
