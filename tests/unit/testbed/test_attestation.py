# SPDX-License-Identifier: Apache-2.0
"""What a guest answers to a nonce, and what is made of it."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cca_vectors import Vector

from orchestrator.attest.policies import read_policy
from orchestrator.attest.verify import verify
from orchestrator.errors import AttestationError
from orchestrator.testbed import attestation
from orchestrator.testbed.attestation import Answer, Attested, challenge, read_answer

BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))
KEY = base64.b64encode(BLOB).decode()
NONCE = bytes(range(64))


def answer(**facts: object) -> bytes:
    return json.dumps({"host_key": KEY, "token": base64.b64encode(b"a token").decode()} | facts).encode()


def test_an_answer_is_a_key_and_a_token() -> None:
    assert read_answer(answer() + b"\n") == Answer(f"ssh-ed25519 {KEY}", b"a token")


def test_the_challenge_holds_key_and_nonce() -> None:
    assert challenge(f"ssh-ed25519 {KEY}", NONCE) == hashlib.sha512(BLOB + NONCE).digest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"token": "YQ=="}',
        answer(token="%%%"),
        answer(token=7),
        answer(host_key="YQ=="),
        answer(host_key=None),
        answer(host_key=base64.b64encode(BLOB + b"x").decode()),
    ],
)
def test_what_is_no_proof(data: bytes) -> None:
    with pytest.raises(AttestationError, match="is no proof") as caught:
        read_answer(data)
    assert caught.value.exit_code == 5


def test_a_guest_without_a_driver_says_why() -> None:
    with pytest.raises(AttestationError, match=r"no token can be had: No such file or dirx{100,180}$"):
        read_answer(answer(error="No such file or dir\x1b[2J" + "x" * 1000, token=None))


def test_what_is_kept_can_be_verified_again(tmp_path: Path) -> None:
    token = Vector().bytes()
    verdict = verify(token, read_policy(None))
    kept = Attested("realm", NONCE, Answer(f"ssh-ed25519 {KEY}", token), verdict, 0.5)
    path = kept.save(tmp_path / "attestation")
    assert path.name == "realm-19700101T000000Z-00010203.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["format"] == attestation.FORMAT
    assert base64.b64decode(table["token"]) == token
    assert bytes.fromhex(table["challenge"]) == challenge(table["host_key"], bytes.fromhex(table["nonce"]))
    assert table["verdict"]["accepted"] is False
    with pytest.raises(AttestationError, match="the realm's token is refused: "):
        kept.insist()
