# SPDX-License-Identifier: Apache-2.0
"""A realm proves itself before SSH is opened to it, on the real machine; a host that cheats is found out."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from emulated import Bed, host

from orchestrator.attest.appraise import References
from orchestrator.attest.policies import read_policy
from orchestrator.attest.verify import verify
from orchestrator.testbed.attestation import Answer, ask, challenge
from orchestrator.testbed.guest import INITRD, GuestName
from orchestrator.testbed.measurement import predict, started_config
from orchestrator.words import World

REALM = GuestName(World.REALM)
ATTACKER = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@pytest.fixture
def realm(module_bed: Bed) -> Bed:
    done = module_bed.orch("up", "--realm", "--vm", timeout=600)
    assert done.returncode == 0, done.stderr
    return module_bed


def status(bed: Bed, name: str) -> dict[str, Any]:
    return dict(json.loads(bed.orch("status", "--json").stdout)["guests"][name])


def asked(bed: Bed, nonce: bytes, name: GuestName = REALM) -> Answer:
    with bed.near.host() as gateway:
        return ask(gateway, name, nonce, 60)


def reasons(bed: Bed, answer: Answer, nonce: bytes) -> str:
    """Why an answer is refused; empty if it is accepted."""
    measurements = predict(bed.near, started_config(bed.near, REALM)).measurements
    found = verify(answer.token, read_policy(None), References(challenge(answer.host_key, nonce), measurements))
    return "; ".join(found.reasons)


def test_a_realm_is_attested_and_a_vm_is_not(realm: Bed) -> None:
    mine, other = status(realm, "realm"), status(realm, "vm")
    assert (mine["attested"], other["attested"]) == (True, False)
    kept = json.loads(Path(mine["attestation"]).read_text(encoding="utf-8"))
    assert kept["verdict"]["accepted"] is True
    assert {each["name"] for each in kept["verdict"]["test_keys"]} == {"tf-a-qemu-platform", "tf-a-qemu-realm"}
    done = realm.orch("attest", "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert table["host_key"] == kept["host_key"]
    assert table["nonce"] != kept["nonce"]
    with pytest.raises(Exception, match="no token can be had: "):
        asked(realm, secrets.token_bytes(64), GuestName(World.VM))


def test_what_a_host_may_do_with_answers(realm: Bed) -> None:
    """It carries them all: it may keep one, or put its own key in the place of the realm's."""
    nonce, other = secrets.token_bytes(64), secrets.token_bytes(64)
    answer = asked(realm, nonce)
    assert reasons(realm, answer, nonce) == ""
    assert "challenge: not the one that was asked for" in reasons(realm, answer, other)
    assert "challenge: not the one that was asked for" in reasons(realm, Answer(ATTACKER, answer.token), nonce)
    broken = bytearray(answer.token)
    broken[-1] ^= 1
    assert "realm signature: " in reasons(realm, Answer(answer.host_key, bytes(broken)), nonce)


def test_a_host_that_keeps_the_realm_from_answering(realm: Bed) -> None:
    host(realm, "nft add table ip silent; nft add chain ip silent sent '{ type filter hook output priority 0; }'; "
         "nft add rule ip silent sent tcp dport 7079 drop")  # fmt: skip
    try:
        with realm.near.host() as gateway, pytest.raises(Exception, match=r"state 'attest': .* within 3 s"):
            ask(gateway, REALM, bytes(64), 3)
    finally:
        host(realm, "nft delete table ip silent")


def test_another_image_is_refused_and_never_logged_in_to(realm: Bed) -> None:
    """One byte of its initrd is changed by the host, which then starts it as it was asked to."""
    assert realm.orch("down", "realm").returncode == 0
    initrd = INITRD.path
    at = realm.near.guests.source(INITRD).read_bytes().index(b"First program of a guest")
    host(realm, f"printf f | dd of={initrd} bs=1 seek={at} conv=notrunc 2>/dev/null")
    done = realm.orch("up", "--realm", timeout=600)
    assert done.returncode == 5
    assert "error: the realm's token is refused: rim: not " in done.stderr
    assert status(realm, "realm")["state"] != "running"
    host(realm, f"printf F | dd of={initrd} bs=1 seek={at} conv=notrunc 2>/dev/null")
    assert realm.orch("up", "--realm", timeout=600).returncode == 0
