# SPDX-License-Identifier: Apache-2.0
"""SSH keys of one testbed: the user's and the host's, made once, known to both sides in advance."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

_TYPE = b"ssh-ed25519"
_KEY_BYTES = 32


@dataclass(frozen=True)
class SshKeys:
    """File names of the user's key and the host's key (OpenSSH format) under `folder`."""

    folder: Path

    @property
    def user(self) -> Path:
        """Private key that logs in."""
        return self.folder / "user"

    @property
    def host(self) -> Path:
        """Private key by which the emulated host is known."""
        return self.folder / "host"

    def ensure(self) -> None:
        """Make what is missing; an existing key is never replaced."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.user, self.host):
            if not path.exists():
                _write_private(path, Ed25519PrivateKey.generate())

    def authorized_keys(self) -> str:
        """The line that lets the user in."""
        return f"{public_line(self.user)} orch\n"

    def dropbear_host_key(self) -> bytes:
        """The host key in dropbear's own format: name, then 64 bytes of seed and public key, as SSH strings."""
        private = _load(self.host)
        seed = private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        return _string(_TYPE) + _string(seed + _raw_public(private))


def public_line(private_path: Path) -> str:
    """`ssh-ed25519 BASE64` of a private key file."""
    return f"{_TYPE.decode()} {public_blob(private_path)}"


def public_blob(private_path: Path) -> str:
    """The base64 part of that line."""
    blob = _string(_TYPE) + _string(_raw_public(_load(private_path)))
    return base64.b64encode(blob).decode()


def host_key_line(words: list[str]) -> str | None:
    """A public Ed25519 key line of these words, which somebody else has written; None if they are none."""
    if len(words) != 2 or words[0] != _TYPE.decode():
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    prefix = _string(_TYPE) + struct.pack(">I", _KEY_BYTES)
    return " ".join(words) if blob.startswith(prefix) and len(blob) == len(prefix) + _KEY_BYTES else None


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    replace_file(path, text, mode=0o600)


def _load(path: Path) -> Ed25519PrivateKey:
    key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - we wrote it
    return key


def _raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
