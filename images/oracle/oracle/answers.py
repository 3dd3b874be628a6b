# SPDX-License-Identifier: Apache-2.0
"""Inference by one or several kernels of the release, each in a process of its own: one may die of a model."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from oracle.opened import ModelError, Opened

RELEASE = metadata.version("ai-edge-litert")
OK, UNUSABLE, FAILED = 0, 1, 3
"""Exit codes of guest/world/runner."""


@dataclass(frozen=True)
class Task:
    """What is asked for, as of the runner: all outputs of each inference, warm-ups first."""

    model: str
    inputs: str
    results: str
    iterations: int
    warmups: int
    threads: int
    signature: str | None


def answer(task: Task, kernel: str, results: str) -> int:
    """Write the record of one kernel's answers to `results`; the exit code."""
    child = os.fork()
    if child == 0:
        os._exit(_work(task, kernel, results))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        with Path(results).open("a", encoding="utf-8") as stream:
            _end(stream, FAILED, f"the process was ended by signal {name}")
        return FAILED
    return os.WEXITSTATUS(status)


def _work(task: Task, kernel: str, results: str) -> int:
    code, problem = OK, None
    with Path(results).open("w", encoding="utf-8") as stream:
        try:
            _infer(task, kernel, stream)
        except ModelError as error:
            code, problem = UNUSABLE, f"{task.model}: {error}"
        except OSError as error:
            code, problem = UNUSABLE, f"{error.filename}: {error.strerror}"
        _end(stream, code, problem)
    return code


def _infer(task: Task, kernel: str, stream: TextIO) -> None:
    began = time.monotonic_ns()
    opened = Opened.load(task.model, kernel, task.signature, task.threads)
    opened.check()
    names = [port.name for port in opened.outputs]
    _line(stream, event="load", ns=time.monotonic_ns() - began, kernel=kernel, outputs=names)
    size = sum(port.bytes for port in opened.inputs)
    data = memoryview(Path(task.inputs).read_bytes())
    if len(data) == 0 or len(data) % size:
        raise ModelError(f"takes {size} bytes an inference, or a multiple of that, and not {len(data)}")
    tensors = len(data) // size
    for k in range(task.warmups + task.iterations):
        index = (k if k < task.warmups else k - task.warmups) % tensors
        raw = opened.invoke(data[index * size : (index + 1) * size])
        output = {"raw": [each.hex() for each in raw]}
        _line(stream, event="iteration", k=k, warmup=k < task.warmups, input=index, output=output)


def _end(stream: TextIO, code: int, problem: str | None) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = "error" if code else "ok"
    _line(stream, event="end", status=status, error=problem, exit_status=code, peak_rss_kib=peak, runtime=RELEASE)


def _line(stream: TextIO, **facts: Any) -> None:
    stream.write(json.dumps(facts, separators=(",", ":")) + "\n")
    stream.flush()
