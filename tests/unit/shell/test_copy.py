# SPDX-License-Identifier: Apache-2.0
"""Folders copied from a machine that means no good, whose names and permissions are its own; and to one."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from orchestrator.errors import BootError, OrchError
from orchestrator.shell.ssh import get, put


class Machine:
    """SFTP of a machine that answers anything; `names` by folder, everything else is a file."""

    def __init__(self, names: dict[str, list[str]], mode: int = 0o644) -> None:
        self.names, self.mode = names, mode

    def stat(self, path: str) -> Any:
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755 if path in self.names else stat.S_IFREG | self.mode)

    def listdir(self, path: str) -> list[str]:
        return self.names[path]

    def get(self, _path: str, target: str, **_: object) -> None:
        Path(target).write_text("content", encoding="utf-8")


def copy(machine: Machine, target: Path) -> None:
    get(SimpleNamespace(sftp=lambda: machine), "/tmp/d", target)


@pytest.mark.parametrize("name", ["../escaped", "..", ".", "", "/escaped", "a/b", "a\0b"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    target = tmp_path / "here"
    with pytest.raises(OrchError, match="the machine names a file"):
        copy(Machine({"/tmp/d": [name]}), target)
    assert sorted(tmp_path.rglob("*")) == [target]


def test_a_machine_that_goes_away(tmp_path: Path) -> None:
    machine = Machine({})
    machine.get = lambda *_, **__: (_ for _ in ()).throw(paramiko.SSHException("Server connection dropped"))  # type: ignore[method-assign]
    with pytest.raises(BootError, match=r"^host no longer answers: Server connection dropped$"):
        get(SimpleNamespace(sftp=lambda: machine, host="host"), "/tmp/f", tmp_path / "here")


def test_a_slow_copy_that_moves_has_no_end(tmp_path: Path) -> None:
    def slow(_path: str, target: str, callback: Callable[..., None]) -> None:
        for count in range(8):
            time.sleep(0.1)
            callback(count, 8)
        Path(target).write_text("content", encoding="utf-8")

    machine = Machine({})
    machine.get = slow  # type: ignore[method-assign]
    get(SimpleNamespace(sftp=lambda: machine), "/tmp/f", tmp_path / "here", 0.4)
    assert (tmp_path / "here").read_text() == "content"


def test_no_special_permissions(tmp_path: Path) -> None:
    copy(Machine({"/tmp/d": ["x"]}, 0o6755), tmp_path / "here")
    assert stat.S_IMODE((tmp_path / "here/x").stat().st_mode) == 0o755


def test_folders_without_end(tmp_path: Path) -> None:
    names = {f"/tmp/d{'/d' * depth}": ["d"] for depth in range(100)}
    with pytest.raises(OrchError, match="nested deeper"):
        copy(Machine(names), tmp_path / "here")


class Taker(Machine):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__({})
        self.taken: list[str] = []

    def mkdir(self, path: str) -> None:
        self.names[path] = []

    def put(self, _source: str, target: str, **_: object) -> None:
        self.taken.append(target)

    def chmod(self, _path: str, _mode: int) -> None:
        pass


@pytest.mark.parametrize("kind", ["pipe", "dangling"])
def test_what_is_no_file_in_a_folder_is_told(tmp_path: Path, kind: str) -> None:
    """A pipe there would be waited for without end."""
    os.mkfifo(tmp_path / "pipe") if kind == "pipe" else (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(OrchError, match=f"{kind}: neither a file nor a folder"):
        put(SimpleNamespace(sftp=Taker), tmp_path, "/tmp/d")


def test_a_link_back_into_its_folder_ends(tmp_path: Path) -> None:
    """Three folders a round: our limit comes before the 40 links that the kernel follows."""
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "again").symlink_to(tmp_path)
    with pytest.raises(OrchError, match="nested deeper"):
        put(SimpleNamespace(sftp=Taker), tmp_path, "/tmp/d")


def test_links_to_files_are_copied_as_files(tmp_path: Path) -> None:
    folder, taker = tmp_path / "folder", Taker()
    folder.mkdir()
    (tmp_path / "file").write_text("content", encoding="utf-8")
    (folder / "link").symlink_to(tmp_path / "file")
    put(SimpleNamespace(sftp=lambda: taker), folder, "/tmp/d")
    assert taker.taken == ["/tmp/d/link"]
