# SPDX-License-Identifier: Apache-2.0
"""The per-testbed initrd is a newc archive with the right modes, equal for equal content."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.testbed.overlay import OverlayFile, write_overlay

FILES = [OverlayFile("/etc/x/key", b"secret", 0o600), OverlayFile("/root/.ssh/authorized_keys", b"k\n")]


def test_content_owner_and_modes(tmp_path: Path) -> None:
    write_overlay(FILES, tmp_path / "o.cpio")
    listing = subprocess.run(
        ["cpio", "-itvn", "--quiet"], stdin=(tmp_path / "o.cpio").open(), capture_output=True, text=True, check=True
    ).stdout
    lines = {line.split()[-1]: line.split()[0] for line in listing.splitlines()}
    assert lines["etc/x/key"] == "-rw-------"
    assert lines["root/.ssh"] == "drwxr-xr-x"
    owners = {tuple(line.split()[2:4]) for line in listing.splitlines()}
    assert owners == {("0", "0")}


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write_overlay(FILES, tmp_path / "one.cpio")
    write_overlay(FILES, tmp_path / "two.cpio")
    assert (tmp_path / "one.cpio").read_bytes() == (tmp_path / "two.cpio").read_bytes()
