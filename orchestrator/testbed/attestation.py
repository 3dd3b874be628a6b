# SPDX-License-Identifier: Apache-2.0
"""A running realm attested: a nonce goes in, a token comes out, and is held against what the artifacts give.

The realm's SSH host key is part of what the token is asked for with, so an accepted token says whose key that is. It is
asked for before SSH is opened, at a service of the guest's own (guest/world/attest) that the untrusted host leads to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.attest.appraise import References
from orchestrator.attest.verify import verify
from orchestrator.build.cache import make_folder
from orchestrator.errors import AttestationError, BootError, UsageError
from orchestrator.files import replace_file
from orchestrator.machine.stamping import printable, stamp
from orchestrator.shell import ssh
from orchestrator.shell.keys import host_key_line
from orchestrator.testbed.measurement import predict, started_config
from orchestrator.words import World

if TYPE_CHECKING:
    from fabric import Connection

    from orchestrator.attest.rim import Measurements
    from orchestrator.attest.verdict import Verdict
    from orchestrator.schema.attestation import AttestationPolicy
    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.testbed import Testbed

PORT = 7079
"""Where a guest's attestd listens (images/guest/root/init)."""
NONCE_BYTES = 64
_MOST = 1 << 17  # bytes of an answer
_REASON = 200  # characters of a guest's own words
FORMAT = 2
"""Version of `attestation.json`; 2 has the host key and the nonce that the challenge is made of."""


@dataclass(frozen=True)
class Answer:
    """What a guest says to a nonce: its SSH host key ("ssh-ed25519 BASE64"), and a token."""

    host_key: str
    token: bytes


@dataclass(frozen=True)
class Attested:
    """A realm's answer to a nonce, and what the verification of its token came to."""

    realm: str
    nonce: bytes
    answer: Answer
    verdict: Verdict
    time: float

    def as_table(self) -> dict[str, Any]:
        """JSON-able: all that is needed to verify it again."""
        return {
            "format": FORMAT,
            "realm": self.realm,
            "time": stamp(self.time),
            "host_key": self.answer.host_key,
            "nonce": self.nonce.hex(),
            "challenge": challenge(self.answer.host_key, self.nonce).hex(),
            "token": base64.b64encode(self.answer.token).decode("ascii"),
            "verdict": self.verdict.as_table(),
        }

    def save(self, folder: Path) -> Path:
        """Write it to a file of its own; returns which."""
        make_folder(folder)
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.time))
        path = folder / f"{self.realm}-{at}-{self.nonce[:4].hex()}.json"
        replace_file(path, json.dumps(self.as_table(), indent=1) + "\n")
        return path

    def insist(self) -> None:
        """Raises AttestationError if the token is refused."""
        if not self.verdict.accepted:
            raise AttestationError(f"the {self.realm}'s token is refused: {'; '.join(self.verdict.reasons)}")


def challenge(host_key: str, nonce: bytes) -> bytes:
    """What a token is asked for with: SHA-512 of the host key as SSH sends it, then the nonce; 64 bytes."""
    return hashlib.sha512(base64.b64decode(host_key.split()[1]) + nonce).digest()


def attest(testbed: Testbed, realm: GuestName, policy: AttestationPolicy, gateway: Connection) -> Attested:
    """Attest a realm that runs; `gateway` leads to its host. Raises AttestationError if it has no token.

    The measurement that it must have is that of a realm started as this one was, from the artifacts as they are now.
    """
    if realm.world is not World.REALM:
        raise UsageError(f"the {realm} is no realm: nothing vouches for it")
    nonce = secrets.token_bytes(NONCE_BYTES)
    answer = ask(gateway, realm, nonce, testbed.project.config.timeouts.attest)
    references = References(challenge(answer.host_key, nonce), _expected(testbed, realm))
    return Attested(str(realm), nonce, answer, verify(answer.token, policy, references), time.time())


def _expected(testbed: Testbed, realm: GuestName) -> Measurements | None:
    """What is to be measured; nobody knows what a VMM that is not ours makes a realm of."""
    vmm = testbed.project.config.stack.vmm
    if vmm is not None and realm.world in vmm.worlds:
        return None
    return predict(testbed, started_config(testbed, realm)).measurements


def ask(gateway: Connection, realm: GuestName, nonce: bytes, limit: float) -> Answer:
    """What a guest answers within `limit` seconds; raises AttestationError if that is no proof."""
    try:
        data = ssh.exchange(gateway, realm.address, PORT, nonce, limit=limit, most=_MOST)
    except BootError as error:
        raise AttestationError(
            f"{realm}: state 'attest': no token can be had: {error.message}",
            hint="a guest image of another origin has no such service: `attestation.required: false` in testbed.yaml",
        ) from None
    return read_answer(data)


def read_answer(data: bytes) -> Answer:
    """Understand a guest's answer; whatever is in there, it is an Answer or an AttestationError."""
    try:
        facts = json.loads(data)
        key = host_key_line(["ssh-ed25519", str(facts["host_key"])])
        if key is None:
            raise ValueError
        if "error" in facts:
            words = printable(str(facts["error"])[:_REASON])
            raise AttestationError(
                f"no token can be had: {words}",
                hint="its kernel needs the driver arm-cca-guest, and it must be a realm",
            )
        return Answer(key, base64.b64decode(str(facts["token"]), validate=True))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise AttestationError("what the realm answered is no proof: expected a host key and a token") from None
