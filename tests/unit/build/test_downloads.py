# SPDX-License-Identifier: Apache-2.0
"""Downloads that another thread ends: the one that waits for its turn, and the one under way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from orchestrator.build import apt
from orchestrator.build.downloads import Downloads
from orchestrator.errors import EnvError
from orchestrator.schema.lock import LockedFile

FILE = LockedFile(package="a", version="1", architecture="all", path="pool/a.deb", size=1, sha256="0" * 64)


def test_waiting_for_another_download_can_be_ended(tmp_path: Path) -> None:
    cancel = threading.Event()
    downloads = Downloads(tmp_path, lambda _text: None, cancel)
    timer = threading.Timer(0.2, cancel.set)
    with FileLock(tmp_path / "lock"):
        timer.start()
        with pytest.raises(EnvError, match="the download was cancelled"):
            downloads.fetch([FILE])
    timer.join()


def test_a_download_under_way_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt's helper is played by one that would take a minute; nothing half downloaded stays."""
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nsleep 60\ntouch {tmp_path}/late\n")
    helper.chmod(0o755)
    monkeypatch.setattr(apt, "_HELPER", helper)
    monkeypatch.setenv("ORCH_MIRROR", f"file:{tmp_path}/")
    cancel = threading.Event()
    downloads = Downloads(tmp_path / "downloads", lambda _text: None, cancel)

    def cancel_once_started() -> None:
        while not (tmp_path / "started").exists():
            cancel.wait(0.01)
        cancel.set()

    thread = threading.Thread(target=cancel_once_started)
    thread.start()
    with pytest.raises(EnvError, match="killed by SIGTERM"):
        downloads.fetch([FILE])
    thread.join()
    assert not (tmp_path / "late").exists()
    assert not (tmp_path / "downloads/partial").exists()
