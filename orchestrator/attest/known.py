# SPDX-License-Identifier: Apache-2.0
"""Attestation keys that everybody knows: those that emulators use in place of a platform's own.

What is signed with one proves nothing of firmware or monitor. A verdict therefore names them, whatever the policy says.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.attest.cose import P384, point


@dataclass(frozen=True)
class PublicTestKey:
    """A public test value: its name in policies and verdicts, and where it is published."""

    name: str
    source: str
    key: ec.EllipticCurvePublicKey


def _p384(x: str, y: str) -> ec.EllipticCurvePublicKey:
    return point(P384, bytes.fromhex(x), bytes.fromhex(y), "known key")


QEMU_PLATFORM = PublicTestKey(
    "tf-a-qemu-platform",
    "TF-A, plat/qemu/common/qemu_plat_attest_token.c: a fixed token that every machine hands out",
    _p384(
        "212867c52e2b9508b0a420a90560f394d2dfaa21bdd7514ff1a901afe7e1f78bb11d4e66f8a8a38afa76af6a31c4de8c",
        "84ce2dafc9964258b53fad718774f45620d111b176e8318e1187db0235a318d37ba597fee80e0e4c762a12bcb3ea6ed4",
    ),
)
QEMU_REALM = PublicTestKey(
    "tf-a-qemu-realm",
    "TF-A, plat/qemu/common/qemu_realm_attest_key.c: a private key in a public source",
    _p384(
        "76f988091be585ed41801aecfab858548c63057e16b0e676120bbd0d2f9c29e056c5d41a0130eb9c21517899dc23146b",
        "28e1b062bd3ea4b315fd219f1cbb528cb6e74ca49be16773734f61a1ca61031b2bbf3d918f2f94ffc4228e50919544ae",
    ),
)
TEST_KEYS = (QEMU_PLATFORM, QEMU_REALM)


def known_test_key(key: ec.EllipticCurvePublicKey) -> PublicTestKey | None:
    """The known test value that a key is, if it is one, whatever it is used for."""
    return next((each for each in TEST_KEYS if each.key == key), None)
