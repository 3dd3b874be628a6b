# SPDX-License-Identifier: Apache-2.0
"""A worker's stdout is for its client: what an extension prints goes to the worker's log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# A worker up to its job, which is one that is refused.
PROGRAM = """
import os, sys
from orchestrator.errors import EnvError
from orchestrator.experiment import worker
def refuse(*_):
    print("from the job")
    raise EnvError("no machine")
worker._job, worker.execute = (lambda: (None, None)), refuse
sys.exit(worker.main([str(os.getppid()), ""]))
"""


def test_what_an_extension_prints_is_no_message(tmp_path: Path) -> None:
    extension = tmp_path / "chatty.py"
    extension.write_text("print('hello from an extension')\n", encoding="utf-8")
    environment = os.environ | {"ORCH_EXTENSIONS": str(extension), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 2, done.stderr
    (message,) = (json.loads(line) for line in done.stdout.splitlines())
    assert (message["refused"], message["message"]) == ("EnvError", "no machine")
    assert done.stderr.splitlines() == ["hello from an extension", "from the job"]
