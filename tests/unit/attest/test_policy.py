# SPDX-License-Identifier: Apache-2.0
"""Policy files: every mistake has file, line, column and key; what a file does not say is refused, not assumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cca_vectors import PLATFORM_KEY, pem
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from orchestrator.attest.policies import EMULATOR, read_policy
from orchestrator.errors import UsageError
from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.schema.yamlfile import loads

ROOT = Path(__file__).resolve().parents[3]


def read(text: str) -> AttestationPolicy:
    return loads(text, "p.yaml", AttestationPolicy)


def indented(text: str) -> str:
    return "".join(f"        {line}\n" for line in text.splitlines())


OURS = f"name: p\nplatform:\n  keys:\n    - name: ours\n      pem: |\n{indented(pem(PLATFORM_KEY))}"


@pytest.mark.parametrize(
    ("text", "mistake"),
    {
        "platform: {}\n": "p.yaml:1:1: name: Field required",
        "name: p\ntest_key: allowed\n": "p.yaml:2:1: test_key: unknown key; did you mean 'test_keys'?",
        "name: p\ntest_keys: yes\n": "p.yaml:2:1: test_keys: Input should be 'refused' or 'allowed'",
        "name: p\nrequired: [rem]\n": "p.yaml:2:12: required.0: Input should be 'challenge'",
        'name: p\nrealm:\n  rim: ["00"]\n': "p.yaml:3:9: realm.rim.0: expected 32 or 48 or 64 bytes, found 1",
        "name: p\nrealm:\n  rim: [0000]\n": "p.yaml:3:9: realm.rim.0: expected hexadecimal digits, in quotes",
        "name: p\nrealm:\n  rim: [1e10]\n": "p.yaml:3:9: realm.rim.0: expected hexadecimal digits, in quotes",
        'name: p\nrealm:\n  rim: ["xx"]\n': "p.yaml:3:9: realm.rim.0: expected hexadecimal digits, two for each byte",
        "name: p\nrealm:\n  rim: []\n": "p.yaml:3:3: realm.rim: List should have at least 1 item",
        "name: p\nrealm:\n  rem: [null]\n": "p.yaml:3:3: realm.rem: List should have at least 4 items",
        "name: p\nrealm:\n  profiles: [2023]\n": "p.yaml:3:14: realm.profiles.0: Input should be 'legacy'",
        'name: p\nplatform:\n  lifecycle: ["open"]\n': "p.yaml:3:15: platform.lifecycle.0: Input should be 'unknown'",
        "name: p\nplatform:\n  keys: [{known: mine}]\n": "p.yaml:3:11: platform.keys.0.known: Input should be",
        "name: p\nplatform:\n  keys: [{}]\n": "p.yaml:3:10: platform.keys.0: expected either 'known', or",
        "name: p\nplatform:\n  keys: [{pem: x, name: a}]\n": "p.yaml:3:11: platform.keys.0.pem: expected a public key",
        f"{OURS}      known: tf-a-qemu-platform\n": "p.yaml:4:7: platform.keys.0: expected either 'known', or",
        OURS.replace("- name: ours\n      ", "- "): "p.yaml:4:7: platform.keys.0: expected either 'known', or",
    }.items(),
)
def test_mistakes_have_a_place(text: str, mistake: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(mistake)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        read('name: p\nrealm:\n  rim: ["00"]\n  colour: red\nplatform:\n  lifecycle: [open]\n')
    assert len(caught.value.message.splitlines()) == 3


def test_keys_that_no_token_is_signed_with() -> None:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes(*form).decode()
    private = PLATFORM_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for key in (edwards, pem(ec.derive_private_key(3, ec.SECP256K1())), private):
        with pytest.raises(UsageError, match=r"platform\.keys\.0\.pem: expected a"):
            read(OURS.replace(indented(pem(PLATFORM_KEY)), indented(key)))


def test_what_a_policy_does_not_say() -> None:
    """It knows no key, refuses public ones, and wants a fresh token of a known measurement."""
    policy = read("name: p\n")
    assert (policy.platform.keys, policy.test_keys, policy.required) == ([], "refused", ["challenge", "rim"])


def test_a_key_in_a_file() -> None:
    key = read(OURS).platform.keys[0]
    assert (key.name, key.pem) == ("ours", pem(PLATFORM_KEY))


def test_the_shipped_files() -> None:
    assert read_policy(None) == read_policy(EMULATOR)
    assert read_policy(None).name == "emulator"
    shown = read_policy(ROOT / "docs/attestation-policy.yaml")
    assert shown.test_keys == "refused"
    assert all(getattr(shown.realm, name) is not None for name in type(shown.realm).model_fields)
    assert all(getattr(shown.platform, name) for name in type(shown.platform).model_fields)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_policy(Path("/nowhere/policy.yaml"))
