# SPDX-License-Identifier: Apache-2.0
"""The command line: `describe MODEL [SIGNATURE]`, and `run` with the words of guest/world/runner."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from oracle.answers import UNUSABLE, Task, answer
from oracle.describe import describe
from oracle.opened import KERNELS, ModelError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oracle", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    told = verbs.add_parser("describe")
    told.add_argument("model")
    told.add_argument("signature", nargs="?")
    run = verbs.add_parser("run", allow_abbrev=False)
    for name in ("model", "inputs", "results"):
        run.add_argument(f"--{name}", required=True)
    for name, least in (("iterations", 1), ("warmups", 0), ("threads", 1)):
        run.add_argument(f"--{name}", type=int, default=least)
    run.add_argument("--output", choices=["raw"], required=True)
    run.add_argument("--signature")
    run.add_argument("--id")  # of markers, of which there are none here
    run.add_argument("--kernels", default="xnnpack", help="several, with a comma: RESULTS.KERNEL is written for each")
    return parser


def _run(words: argparse.Namespace) -> int:
    """One kernel's failure is told by the exit code; of several each record tells its own."""
    task = Task(
        **{name: getattr(words, name) for name in ("model", "inputs", "results", "iterations", "warmups", "threads")},
        signature=words.signature,
    )
    kernels = words.kernels.split(",")
    if set(kernels) - set(KERNELS):
        return _complain(f"--kernels: some of {', '.join(KERNELS)} expected", 2)
    if len(kernels) == 1:
        code = answer(task, kernels[0], task.results)
        if code:
            last = Path(task.results).read_text(encoding="utf-8").splitlines()[-1]
            return _complain(json.loads(last)["error"], code)
        return 0
    for kernel in kernels:
        answer(task, kernel, f"{task.results}.{kernel}")
    return 0


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"oracle: {text}\n")
    return code


def main() -> int:
    """The exit code."""
    words = _parser().parse_args()
    if words.verb == "run":
        return _run(words)
    try:
        found = describe(words.model, words.signature)
    except ModelError as error:
        return _complain(f"{words.model}: {error}", UNUSABLE)
    sys.stdout.write(json.dumps(found, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
