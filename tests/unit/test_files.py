# SPDX-License-Identifier: Apache-2.0
"""Files that are replaced at once, by the one writer that there is."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import files
from orchestrator.files import replace_file

PACKAGE = Path(files.__file__).parent
# What they give a name is not of their own writing: files that pip and mirrors left, a link, a copy from a machine,
# a log. venv.py runs before the package can be imported.
MOVERS = {"build/downloads.py", "build/packages.py", "build/cache.py", "shell/copying.py", "build/venv.py"}


def test_a_file_is_old_or_new_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, "één\n")
    assert path.read_bytes() == "één\n".encode()
    replace_file(path, b"\x00\xff", durable=True)
    assert path.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replace_file(tmp_path / "key", b"k", mode=0o600)
        replace_file(tmp_path / "open", b"k")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key", "open")] == [0o600, 0o666]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    replace_file(path, "old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, "new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none/a", "new")


def test_what_is_durable_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    seen = []

    def watched(handle: int) -> None:
        seen.append((Path(f"/proc/self/fd/{handle}").resolve(), path.exists()))

    monkeypatch.setattr(files.os, "fsync", watched)
    replace_file(path, "x")
    assert seen == []
    path.unlink()
    replace_file(path, "x", durable=True)
    (content, before), (folder, after) = seen
    assert content.parent == folder == tmp_path
    assert (before, after) == (False, True)


def test_many_threads_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = [str(number) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=replace_file, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def renames(tree: ast.AST) -> Iterator[int]:
    """Lines that give a file another name: `x.replace(y)`, `os.replace(x, y)`; `str.replace` has two arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
            if of_os or (len(node.args) == 1 and not node.keywords):
                yield node.lineno


def test_there_is_one_writer() -> None:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(PACKAGE).as_posix()
        writers = [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name in {"write_atomic", "replace_file"}
        ]
        if writers or list(renames(tree)):
            found[name] = writers
    assert {name: writers for name, writers in found.items() if name not in MOVERS} == {"files.py": ["replace_file"]}
    assert not any(found[name] for name in MOVERS)
