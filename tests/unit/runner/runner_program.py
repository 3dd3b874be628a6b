# SPDX-License-Identifier: Apache-2.0
"""The runner as tests drive it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLASSES = 4  # of the models that hand their input on


@dataclass
class Runner:
    """The program, with models and inputs in a folder of its own."""

    program: Path
    folder: Path

    def __call__(self, *words: str | Path, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run it to its end; whatever the sanitizers find fails the test."""
        environment = {**os.environ, "ASAN_OPTIONS": sanitizer_options(self.folder)}
        argv = [self.program, *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=environment, timeout=timeout, **options
        )
        found = sorted(self.folder.glob("sanitizer.*"))
        assert not found, found[0].read_text()
        return done

    def words(self, model: Path, inputs: Path, output: str, *more: str, results: str = "results") -> list[str | Path]:
        """A `run` of two warm-ups and three iterations."""
        head = ["run", "--model", model, "--inputs", inputs, "--iterations", "3", "--warmups", "2", "--threads", "1"]
        return [*head, "--id", "1000", "--output", output, "--results", self.folder / results, *more]

    def lines(self, results: str = "results") -> list[dict[str, Any]]:
        """The events of the results file."""
        return [json.loads(line) for line in (self.folder / results).read_text().splitlines()]

    def outputs(self, results: str = "results") -> list[dict[str, Any]]:
        """What was released, by iteration."""
        return [each["output"] for each in self.lines(results) if each["event"] == "iteration"]

    def file(self, name: str, content: bytes) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def floats(self, *records: tuple[float, ...]) -> Path:
        """A file of inputs for the float model."""
        return self.file("inputs", b"".join(struct.pack(f"<{len(each)}f", *each) for each in records))


def sanitizer_options(folder: Path) -> str:
    """Crashes of the closed library must stay signals, and what is found must not get lost with a silenced stderr."""
    off = ":".join(f"handle_{each}=0" for each in ("segv", "sigbus", "abort", "sigfpe", "sigill"))
    return f"{off}:detect_leaks=0:abort_on_error=1:log_path={folder}/sanitizer"
