# SPDX-License-Identifier: Apache-2.0
"""Attestation tokens of every profile, made here and signed with keys of our own, and parts of them to break.

Keys are derived from fixed numbers: a test that fails does so again. Nothing of the verifier is used to make them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ALGORITHMS = {
    "secp256r1": (-7, 1, 32, hashes.SHA256()),
    "secp384r1": (-35, 2, 48, hashes.SHA384()),
    "secp521r1": (-36, 3, 66, hashes.SHA512()),
}
PLATFORM_KEY = ec.derive_private_key(0x5EED_0001, ec.SECP384R1())
REALM_KEY = ec.derive_private_key(0x5EED_0002, ec.SECP384R1())
OTHER_KEY = ec.derive_private_key(0x5EED_0003, ec.SECP384R1())
CHALLENGE = bytes(range(64))
RIM, RPV = b"\x11" * 32, b"\x22" * 64
REMS = [bytes(32), b"\x31" * 32, bytes(32), bytes(32)]
IMPLEMENTATION, INSTANCE = b"\x41" * 32, b"\x01" + b"\x42" * 32
PLATFORM_PROFILES = {
    "legacy": "http://arm.com/CCA-SSD/1.0.0",
    "2023": "tag:arm.com,2023:cca_platform#1.0.0",
    "2024": "tag:arm.com,2024:cca_platform#2.0.0",
    "2026": "tag:arm.com,2026:cca_platform#2.0.0",
}
REALM_PROFILES = {
    "legacy": None,
    "2023": "tag:arm.com,2023:realm#1.0.0",
    "2024": "tag:arm.com,2024:realm#2.0.0",
    "2026": "tag:arm.com,2026:realm#2.0.0",
}
WRAPPERS = (399, 907)
PAIRS = tuple(itertools.product(PLATFORM_PROFILES, REALM_PROFILES, WRAPPERS))
ABSENT = object()
"""As a claim's value: the claim is left out."""


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def coordinates(key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    numbers, size = key.public_key().public_numbers(), ALGORITHMS[key.curve.name][2]
    return numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")


def cose_key(key: ec.EllipticCurvePrivateKey, **changes: Any) -> bytes:
    """Encoded; `changes` are by kty, crv, x, y, alg."""
    x, y = coordinates(key)
    names = {"kty": 1, "crv": -1, "x": -2, "y": -3, "alg": 3}
    parts = {1: 2, -1: ALGORITHMS[key.curve.name][1], -2: x, -3: y} | {names[name]: v for name, v in changes.items()}
    return cbor2.dumps({label: value for label, value in parts.items() if value is not ABSENT})


def raw_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return b"\x04" + b"".join(coordinates(key))


def sign1(
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    *,
    protected: bytes | None = None,
    unprotected: Mapping[Any, Any] | None = None,
    signature: bytes | None = None,
    tag: int | None = 18,
) -> bytes:
    algorithm, _, size, digest = ALGORITHMS[key.curve.name]
    protected = cbor2.dumps({1: algorithm}) if protected is None else protected
    if signature is None:
        message = cbor2.dumps(["Signature1", protected, b"", payload])
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    parts = [protected, dict(unprotected or {}), payload, signature]
    return cbor2.dumps(parts if tag is None else cbor2.CBORTag(tag, parts))


@dataclass
class Vector:
    """A token by its parts. `platform` and `realm` change claims by label; the other fields replace whole parts."""

    platform_profile: str = "2023"
    realm_profile: str = "2023"
    wrapper: int = 399
    platform: dict[int, Any] = field(default_factory=dict)
    realm: dict[int, Any] = field(default_factory=dict)
    platform_key: ec.EllipticCurvePrivateKey = PLATFORM_KEY
    realm_key: ec.EllipticCurvePrivateKey = REALM_KEY
    realm_signer: ec.EllipticCurvePrivateKey | None = None
    platform_token: bytes | None = None
    realm_token: bytes | None = None

    def key_claim(self) -> bytes:
        found: bytes = self.realm.get(44237) or (
            raw_key(self.realm_key) if self.realm_profile == "legacy" else cose_key(self.realm_key)
        )
        return found

    def platform_claims(self) -> dict[int, Any]:
        claims: dict[int, Any] = {
            265: PLATFORM_PROFILES[self.platform_profile],
            10: hashlib.sha256(self.key_claim()).digest(),
            2396: IMPLEMENTATION,
            256: INSTANCE,
            2401: b"\xcf" * 4,
            2395: 0x3003,
            2402: "sha-256",
            2400: "https://verifier.example",
            2399: [
                {1: "RMM", 2: b"\x51" * 32, 4: "1", 5: b"\x52" * 32, 6: "sha-256"},
                {2: b"\x53" * 64, 5: b"\x54" * 48},
            ],
        }
        if self.platform_profile == "2024":
            claims |= {2394: 1, 2403: b"\x61"}
            claims[2399][0] |= {7: False, 8: [b"\x55" * 32]}
        if self.platform_profile == "2026":
            claims |= {2408: claims.pop(10)}
        return present(claims | self.platform)

    def realm_claims(self) -> dict[int, Any]:
        claims: dict[int, Any] = {
            10: CHALLENGE,
            265: REALM_PROFILES[self.realm_profile] or ABSENT,
            44235: RPV,
            44236: "sha-256",
            44237: self.key_claim(),
            44238: RIM,
            44239: REMS,
            44240: "sha-256",
        }
        if self.realm_profile in ("2024", "2026"):
            claims |= {256: b"\x01" + b"\x71" * 32, 44243: 0, 44244: 1}
        return present(claims | self.realm)

    def platform_bytes(self) -> bytes:
        if self.platform_token is not None:
            return self.platform_token
        return sign1(cbor2.dumps(self.platform_claims()), self.platform_key)

    def realm_bytes(self) -> bytes:
        if self.realm_token is not None:
            return self.realm_token
        return sign1(cbor2.dumps(self.realm_claims()), self.realm_signer or self.realm_key)

    def bytes(self) -> bytes:
        parts: dict[int, Any] = {44234: self.platform_bytes(), 44241: self.realm_bytes()}
        if self.wrapper == 907:
            parts = {label: [263, value] for label, value in parts.items()}
        return cbor2.dumps(cbor2.CBORTag(self.wrapper, parts))


def present(claims: Mapping[int, Any]) -> dict[int, Any]:
    return {label: value for label, value in claims.items() if value is not ABSENT}
