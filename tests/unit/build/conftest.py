# SPDX-License-Identifier: Apache-2.0
"""A small signed package archive on disk, which apt reads like a real mirror."""

from __future__ import annotations

import base64
import gzip
import hashlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA512

SUITE = "trixie"


class Signer:
    """An OpenPGP key (RFC 4880, version 4 packets) that can make cleartext signatures; no key ring, no agent."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._created = int(time.time()) - 86400
        numbers = self._key.public_key().public_numbers()
        self._public = struct.pack(">BIB", 4, self._created, 1) + _mpi(numbers.n) + _mpi(numbers.e)

    def public(self) -> bytes:
        """The key with a self-signed user id, as a binary keyring."""
        name = b"Test archive <archive@example>"
        material = b"\x99" + struct.pack(">H", len(self._public)) + self._public
        certified = material + b"\xb4" + struct.pack(">I", len(name)) + name
        signature = self._signature(0x13, certified, _subpacket(27, b"\x03"))
        return _packet(6, self._public) + _packet(13, name) + signature

    def clearsign(self, text: str) -> str:
        """`text` in a signed frame."""
        signature = self._signature(0x01, "\r\n".join(text.splitlines()).encode())
        armor = base64.encodebytes(signature).decode()
        return (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n\n"
            f"{armor}-----END PGP SIGNATURE-----\n"
        )

    def _signature(self, kind: int, data: bytes, extra: bytes = b"") -> bytes:
        fingerprint = hashlib.sha1(b"\x99" + struct.pack(">H", len(self._public)) + self._public).digest()
        hashed = _subpacket(2, struct.pack(">I", self._created + 1)) + _subpacket(33, b"\x04" + fingerprint) + extra
        head = struct.pack(">BBBBH", 4, kind, 1, 10, len(hashed)) + hashed
        signed = data + head + b"\x04\xff" + struct.pack(">I", len(head))
        value = int.from_bytes(self._key.sign(signed, padding.PKCS1v15(), SHA512()), "big")
        issuer = _subpacket(16, fingerprint[-8:])
        start = hashlib.sha512(signed).digest()[:2]
        return _packet(2, head + struct.pack(">H", len(issuer)) + issuer + start + _mpi(value))


def _mpi(number: int) -> bytes:
    return struct.pack(">H", number.bit_length()) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


@dataclass
class Archive:
    """A mirror in `root`; packages are arbitrary bytes, since nothing here unpacks them."""

    root: Path
    signer: Signer
    packages: list[dict[str, str]] = field(default_factory=list)
    sources: list[dict[str, str]] = field(default_factory=list)

    @property
    def uri(self) -> str:
        """What ORCH_MIRROR is set to."""
        return f"file:{self.root}/"

    def add(self, name: str, version: str, depends: str = "", *, arch: str = "amd64", source: str = "") -> Path:
        """Put a package into the pool and (at the next `publish`) into the index."""
        bare = version.partition(":")[2] or version
        path = self._file(f"pool/main/{name[0]}/{name}/{name}_{bare}_{arch}.deb")
        entry = {"Package": name, "Version": version, "Architecture": arch, "Maintainer": "x", "Description": "x"}
        if source:
            entry["Source"] = source
        if depends:
            entry["Depends"] = depends
        data = path.read_bytes()
        entry |= {"Filename": str(path.relative_to(self.root)), "Size": str(len(data))}
        self.packages.append({**entry, "SHA256": hashlib.sha256(data).hexdigest()})
        return path

    def add_source(self, name: str, version: str) -> Path:
        """Put a source package (an upstream archive and a description) into the pool and the index."""
        folder = f"pool/main/{name[0]}/{name}"
        bare = version.partition(":")[2] or version
        files = [self._file(f"{folder}/{name}_{bare}.{suffix}") for suffix in ("orig.tar.xz", "dsc")]
        sums = "".join(f"\n {hashlib.sha256(p.read_bytes()).hexdigest()} {p.stat().st_size} {p.name}" for p in files)
        entry = {"Package": name, "Binary": name, "Version": version, "Architecture": "any", "Format": "3.0 (quilt)"}
        self.sources.append({**entry, "Maintainer": "x", "Directory": folder, "Checksums-Sha256": sums})
        return files[0]

    def drop(self, name: str) -> None:
        """Remove a package's files from the pool and its entries from the index, as a mirror does."""
        for entry in [e for e in self.packages if e["Package"] == name]:
            (self.root / entry["Filename"]).unlink()
            self.packages.remove(entry)

    def publish(self, suite: str = SUITE) -> None:
        """Write the signed indexes."""
        indexes: dict[str, list[dict[str, str]]] = {"main/source/Sources": self.sources}
        for arch in ("amd64", "arm64"):
            chosen = [entry for entry in self.packages if entry["Architecture"] in (arch, "all")]
            indexes[f"main/binary-{arch}/Packages"] = chosen
        sums = ""
        for name, entries in indexes.items():
            blocks = ["".join(f"{key}: {value}\n" for key, value in entry.items()) for entry in entries]
            for suffix, data in (("", "\n".join(blocks).encode()), (".gz", gzip.compress("\n".join(blocks).encode()))):
                path = self.root / "dists" / suite / (name + suffix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                sums += f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}{suffix}\n"
        release = (
            f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\nDate: {formatdate(usegmt=True)}\n"
            f"Architectures: amd64 arm64\nComponents: main\nSHA256:\n{sums}"
        )
        (self.root / "dists" / suite / "InRelease").write_text(self.signer.clearsign(release))

    def _file(self, path: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(f"content of {path}\n".encode() * 50)
        return target


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


ArchiveMaker = Callable[[Path, pytest.MonkeyPatch], Archive]


@pytest.fixture(scope="session")
def make_archive(signer: Signer) -> ArchiveMaker:
    """Make an empty archive in FOLDER/mirror that orch takes for Debian's."""

    def make(folder: Path, patch: pytest.MonkeyPatch) -> Archive:
        made = Archive(folder / "mirror", signer)
        made.root.mkdir()
        keyring = folder / "keyring.gpg"
        keyring.write_bytes(signer.public())
        patch.setenv("ORCH_MIRROR", made.uri)
        patch.setenv("ORCH_KEYRING", str(keyring))
        return made

    return make


@pytest.fixture
def archive(make_archive: ArchiveMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive of this test."""
    return make_archive(tmp_path, monkeypatch)
