# SPDX-License-Identifier: Apache-2.0
"""SSH keys: stable, private, and in dropbear's format as dropbear reads it."""

from __future__ import annotations

import base64
import stat
import struct
from pathlib import Path

import paramiko

from orchestrator.shell.keys import SshKeys, public_line


def fields(blob: bytes) -> list[bytes]:
    found = []
    while blob:
        (size,) = struct.unpack(">I", blob[:4])
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return found


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    keys = SshKeys(tmp_path / "k")
    keys.ensure()
    before = keys.user.read_bytes()
    keys.ensure()
    assert keys.user.read_bytes() == before
    assert stat.S_IMODE(keys.user.stat().st_mode) == 0o600


def test_dropbear_format_holds_the_same_key(tmp_path: Path) -> None:
    keys = SshKeys(tmp_path)
    keys.ensure()
    kind, pair = fields(keys.dropbear_host_key())
    public = fields(base64.b64decode(public_line(keys.host).split()[1]))[1]
    assert kind == b"ssh-ed25519"
    assert pair[32:] == public
    assert paramiko.Ed25519Key.from_private_key_file(str(keys.host)).asbytes().endswith(public)
