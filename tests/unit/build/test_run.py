# SPDX-License-Identifier: Apache-2.0
"""Starting programs: output, logs, and the ways in which they end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from orchestrator.build.run import CommandError, run, shown
from orchestrator.errors import EnvError


def test_output_and_stdin() -> None:
    assert run(["cat"], stdin="hello").stdout == "hello"


def test_log_is_appended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(["echo", "one"], log=log)
    run(["sh", "-c", "echo two >&2"], log=log)
    assert log.read_text() == "one\ntwo\n"


def test_missing_program() -> None:
    with pytest.raises(EnvError, match="program not found: no-such-program"):
        run(["no-such-program"])


def test_exit_code_and_last_line() -> None:
    with pytest.raises(CommandError, match="exit code 3: bad thing") as caught:
        run(["sh", "-c", "echo bad thing >&2; exit 3"])
    assert caught.value.returncode == 3


def test_signal_is_named() -> None:
    with pytest.raises(CommandError, match="killed by SIGKILL"):
        run(["sh", "-c", "kill -9 $$"])


def test_timeout_is_named() -> None:
    with pytest.raises(CommandError, match=r"timed out after 0\.1 s: sleep 9"):
        run(["sleep", "9"], timeout=0.1)


def test_cancel_ends_the_program() -> None:
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(CommandError, match="killed by SIGTERM"):
        run(["sleep", "30"], cancel=cancel)


def test_shown_can_be_pasted() -> None:
    assert shown(["a b", "c"]) == "'a b' c"
