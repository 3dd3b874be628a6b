# SPDX-License-Identifier: Apache-2.0
"""Apt's downloader on our behalf, and its texts."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.build import apt
from orchestrator.errors import BuildError, EnvError

if TYPE_CHECKING:
    from conftest import Archive


def wanted(archive: Archive, path: Path) -> apt.Wanted:
    return apt.Wanted(str(path.relative_to(archive.root)), hashlib.sha256(path.read_bytes()).hexdigest())


def test_stanzas() -> None:
    text = "Package: a\nDescription: x\n more\n .\nChecksums:\n 1 2 f\n\n\nPackage: b\n"
    assert apt.stanzas(text) == [
        {"Package": "a", "Description": "x\nmore\n.", "Checksums": "\n1 2 f"},
        {"Package": "b"},
    ]
    assert apt.stanzas("") == []


def test_download_tells_what_is_gone(archive: Archive, tmp_path: Path) -> None:
    here, gone = archive.add("a", "1.0+b1~x"), archive.add("b", "1")
    files = [wanted(archive, here), wanted(archive, gone)]
    gone.unlink()
    apt.clear(tmp_path / "got")
    assert apt.download(archive.uri, files, tmp_path / "got") == {files[1].path}
    assert (tmp_path / "got" / files[0].sha256).read_bytes() == here.read_bytes()
    assert not (tmp_path / "got" / files[0].sha256).is_symlink()


def test_corrupt_download(archive: Archive, tmp_path: Path) -> None:
    path = archive.add("a", "1")
    file = wanted(archive, path)
    path.write_bytes(b"something else")
    apt.clear(tmp_path / "got")
    with pytest.raises(BuildError) as caught:
        apt.download(archive.uri, [file], tmp_path / "got")
    got = hashlib.sha256(b"something else").hexdigest()
    assert caught.value.message == f"corrupt download: {file.path}: expected SHA-256 {file.sha256}, got {got}"
    assert caught.value.exit_code == 3


def test_unreachable_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt.conf").write_text('Acquire::Retries "0";\n')  # apt would wait between attempts
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/debian/"
        apt.clear(tmp_path / "got")
        with pytest.raises(EnvError, match="cannot be reached") as caught:
            apt.download(base, [apt.Wanted("pool/a.deb", "0" * 64)], tmp_path / "got")
    assert "ORCH_MIRROR" in str(caught.value.hint)
    with pytest.raises(EnvError, match="is not there"):
        apt.download(f"file:{tmp_path}/unmounted/", [apt.Wanted("pool/a.deb", "0" * 64)], tmp_path / "got")
