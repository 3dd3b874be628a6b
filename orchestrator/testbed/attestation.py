# SPDX-License-Identifier: Apache-2.0
"""A running realm attested: a challenge goes in, a token comes out, and is held against what the artifacts give."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.attest.appraise import References
from orchestrator.attest.claims import CHALLENGE_BYTES
from orchestrator.attest.verify import verify
from orchestrator.build.cache import make_folder
from orchestrator.errors import AttestationError, UsageError
from orchestrator.files import replace_file
from orchestrator.machine.stamping import stamp
from orchestrator.shell import ssh
from orchestrator.testbed.measurement import predict, started_config
from orchestrator.words import World

if TYPE_CHECKING:
    from fabric import Connection

    from orchestrator.attest.verdict import Verdict
    from orchestrator.schema.attestation import AttestationPolicy
    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.testbed import Testbed

_CONFIGFS = "/sys/kernel/config"
_TIMEOUT = 120.0  # s; the RMM signs in software
FORMAT = 1
"""Version of `attestation.json`."""


@dataclass(frozen=True)
class Attested:
    """A token with the challenge that it was asked for with, and what verification came to."""

    realm: str
    challenge: bytes
    token: bytes
    verdict: Verdict
    time: float

    def as_table(self) -> dict[str, Any]:
        """JSON-able: all that is needed to verify it again."""
        return {
            "format": FORMAT,
            "realm": self.realm,
            "time": stamp(self.time),
            "challenge": self.challenge.hex(),
            "token": base64.b64encode(self.token).decode("ascii"),
            "verdict": self.verdict.as_table(),
        }

    def save(self, folder: Path) -> Path:
        """Write it to a file of its own; returns which."""
        make_folder(folder)
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.time))
        path = folder / f"{self.realm}-{at}-{self.challenge[:4].hex()}.json"
        replace_file(path, json.dumps(self.as_table(), indent=1) + "\n")
        return path


def attest(testbed: Testbed, realm: GuestName, policy: AttestationPolicy) -> Attested:
    """Attest a realm that runs, with a challenge nobody has seen; raises AttestationError if it has no token.

    The measurement that it must have is that of a realm started as this one was, from the artifacts as they are now.
    """
    if realm.world is not World.REALM:
        raise UsageError(f"the {realm} is no realm: nothing vouches for it")
    expected = predict(testbed, started_config(testbed, realm))
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    with testbed.world(str(realm)).link() as link:
        token = fetch(link, challenge)
    verdict = verify(token, policy, References(challenge, expected.measurements))
    return Attested(str(realm), challenge, token, verdict, time.time())


def fetch(link: Connection, challenge: bytes) -> bytes:
    """The token that a realm's kernel hands out for a challenge; `link` leads into it, and nothing stays there."""
    done = ssh.attempt(link, fetch_script(challenge, secrets.token_hex(8)), _TIMEOUT)
    if done.code:
        raise AttestationError(
            f"no token can be read: {done.words}",
            hint="its kernel needs the driver arm-cca-guest, and it must be a realm",
        )
    try:
        return base64.b64decode("".join(done.stdout.split()), validate=True)
    except (binascii.Error, ValueError):
        raise AttestationError("what the realm gave for a token is no base64") from None


def fetch_script(challenge: bytes, name: str) -> str:
    """Shell for a realm: a report of the kernel's (configfs, tsm/report), asked with the challenge, in base64.

    The challenge is written at once, since each write is a request; the report has a name of its own, so that two who
    ask at the same time do not get each other's.
    """
    report = f"{_CONFIGFS}/tsm/report/orch-{name}"
    given = base64.b64encode(challenge).decode("ascii")
    return (
        f"set -e; [ -d {_CONFIGFS}/tsm ] || mount -t configfs none {_CONFIGFS}; mkdir {report}; "
        f"trap 'rmdir {report}' EXIT; "
        f"echo {given} | base64 -d | dd of={report}/inblob bs={CHALLENGE_BYTES} count=1 iflag=fullblock 2>/dev/null; "
        f"base64 {report}/outblob"
    )
