# SPDX-License-Identifier: Apache-2.0
"""ES384 as the RMM makes it, with the distribution's Mbed TLS, on this computer; judged by another library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

if TYPE_CHECKING:
    from collections.abc import Iterator

RMM = Path(__file__).parents[3] / "images" / "rmm"
BYTES = 48
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973

# RFC 6979, A.2.6: NIST P-384, with SHA-384.
RFC_KEY = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5"
RFC_SIGNATURES = {
    b"sample": "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
    "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    b"test": "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd3ca3cf023db"
    "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b828246baa5a5",
}


class Signer:
    """One run of ecdsa_host.c."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer, small, large = self.process.stdout.readline().rsplit(" ", 2)
        assert (int(small, 16), int(large, 16)) == (0, 0), "memory was not given back"
        return answer

    def sign(self, key: int, message: bytes) -> bytes | None:
        """r and s; None if it says no."""
        answer = self.ask("sign", f"{key:096x}", message.hex())
        return None if answer == "no" else bytes.fromhex(answer)

    def public_key(self, key: int) -> bytes | None:
        answer = self.ask("public", f"{key:096x}")
        return None if answer == "no" else bytes.fromhex(answer)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc for the build host")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    sources = sorted(cache.glob("*/mbedtls_*.orig.tar.*"))
    if not sources:
        pytest.skip("the library's source is fetched when node rmm is built")
    work = tmp_path_factory.mktemp("ecdsa")
    wanted = ["--strip-components=1", "--wildcards", "*/include/*.h", "*/library/*.[ch]"]
    subprocess.run(["tar", "-xf", sources[-1], "-C", work, *wanted], check=True)
    makefile = (RMM / "Makefile").read_text(encoding="utf-8")
    (names,) = re.findall(r"^LIBRARY := (.*)$", makefile, re.MULTILINE)
    # What the RMM's linker leaves out is linked here, and wants a little more.
    library = [work / "library" / f"{name}.c" for name in [*names.split(), "asn1parse"]]
    program = work / "ecdsa-host"
    flags = ["-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    headers = ["-isystem", work / "include", '-DMBEDTLS_CONFIG_FILE="library_config.h"', f"-I{RMM / 'src'}"]
    own = [Path(__file__).with_name("ecdsa_host.c"), RMM / "src/ecdsa.c", RMM / "src/heap.c"]
    subprocess.run([compiler, *flags, *headers, "-o", program, *own, *library], check=True)
    running = Signer(program)
    yield running
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(timeout=30) == 0, "the sanitizers complained"


@pytest.mark.parametrize("message", RFC_SIGNATURES)
def test_the_standards_examples(signer: Signer, message: bytes) -> None:
    """Deterministic, so the signatures are these and no others."""
    found = signer.sign(int(RFC_KEY, 16), message)
    assert found is not None
    assert found.hex() == RFC_SIGNATURES[message]


def halves(signature: bytes) -> bytes:
    r, s = (int.from_bytes(signature[at : at + BYTES], "big") for at in (0, BYTES))
    return utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("key", [1, 2, 3**200, ORDER - 2, ORDER - 1])
def test_another_library_agrees(signer: Signer, key: int) -> None:
    private = ec.derive_private_key(key, ec.SECP384R1())
    numbers = private.public_key().public_numbers()
    assert signer.public_key(key) == numbers.x.to_bytes(BYTES, "big") + numbers.y.to_bytes(BYTES, "big")
    for size in (0, 1, 110, 111, 112, 128, 700):
        message = os.urandom(size)
        signature = signer.sign(key, message)
        assert signature is not None
        private.public_key().verify(halves(signature), message, ec.ECDSA(hashes.SHA384()))
        assert signer.sign(key, message) == signature


@pytest.mark.parametrize("key", [0, ORDER, ORDER + 1, (1 << 384) - 1])
def test_what_is_no_key_signs_nothing(signer: Signer, key: int) -> None:
    assert signer.sign(key, b"message") is None
    assert signer.public_key(key) is None


def test_without_memory_there_is_no_signature(signer: Signer) -> None:
    """Whatever block is the one too few: "no", nothing lost, nothing overrun; and half of what there is would do."""
    wanted = signer.sign(7, b"message")
    try:
        for small, large in [(blocks, 16) for blocks in range(16)] + [(32, blocks) for blocks in range(9)]:
            signer.ask("room", str(small), str(large))
            assert signer.sign(7, b"message") in {None, wanted}, (small, large)
        signer.ask("room", "0", "16")
        assert signer.sign(7, b"message") is None
        signer.ask("room", "16", "10")
        assert signer.sign(7, b"message") == wanted
    finally:
        signer.ask("room", "32", "16")
