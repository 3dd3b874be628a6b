# SPDX-License-Identifier: Apache-2.0
"""State at rest: secrets are sealed with data keys, and these with a key kept elsewhere (AES-256-GCM, RFC 5116).

To seal anew costs a data key and not the world: what was sealed with older ones can still be opened, and a new key
elsewhere seals the data keys alone.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orchestrator.errors import EnvError

KEY_BYTES, NONCE_BYTES = 32, 12


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """Nonce, ciphertext and tag; what it is is authenticated as well, so that it cannot stand in another place."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def unseal(key: bytes, sealed: bytes, about: str) -> bytes:
    """The other way; raises EnvError if it is another thing, or was changed."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError):
        raise EnvError(f"{about}: it does not open: it was changed, or the key is another one") from None


@dataclass(frozen=True)
class Keyring:
    """Data keys by generation; secrets are sealed with the newest."""

    keys: dict[int, bytes] = field(repr=False)

    @property
    def newest(self) -> int:
        """The generation that seals."""
        return max(self.keys)

    def seal(self, plain: bytes, about: str) -> bytes:
        """Sealed, with the generation in front (four bytes)."""
        return self.newest.to_bytes(4, "big") + seal(self.keys[self.newest], plain, about)

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """The other way; raises EnvError."""
        generation = int.from_bytes(sealed[:4], "big")
        if generation not in self.keys:
            raise EnvError(f"{about}: it was sealed with a data key that is not there")
        return unseal(self.keys[generation], sealed[4:], about)


def make_seal_key(path: Path) -> bytes:
    """A new key in a file that only its owner can read; raises EnvError if there is one already."""
    key = secrets.token_bytes(KEY_BYTES)
    write_private(path, key.hex() + "\n")
    return key


def read_seal_key(path: Path) -> bytes:
    """Raises EnvError for a file that is none, or that others can read."""
    try:
        key = bytes.fromhex(read_private(path))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise EnvError(f"{path}: no key: {2 * KEY_BYTES} hexadecimal digits are due")
    return key


def write_private(path: Path, text: str) -> None:
    """A new file that only its owner can read; raises EnvError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise EnvError(f"{path}: is there already", hint="a key is never overwritten; name another file") from None


def read_private(path: Path) -> str:
    """What is in such a file; raises EnvError if others can read it as well."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise EnvError(f"{path}: others may read this key", hint=f"chmod 600 {path}")
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise EnvError(f"{path}: no such key", hint="`orch keys init` makes them") from None
    except UnicodeDecodeError:
        raise EnvError(f"{path}: no key") from None
