# SPDX-License-Identifier: Apache-2.0
"""An attestation token taken apart and checked, for tests (RMM specification DEN0137 1.0-rel0, A7.2; RFC 9052, 9053).

Written from the formats' descriptions and with another library's cryptography than the RMM's: what both agree on is
right.
A token that is not as it should be ends in an AssertionError that says what is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

ES384 = -35
SIGN1 = 18  # tag of a COSE_Sign1
SCALAR_BYTES = 48
PLATFORM, REALM = 44234, 44241
WRAPPER, RECORDS_WRAPPER, RECORD_TYPE = 399, 907, 263

CHALLENGE, PROFILE, PERSONALIZATION, HASH, KEY, RIM, REMS, KEY_HASH = 10, 265, 44235, 44236, 44237, 44238, 44239, 44240
PLATFORM_CHALLENGE = 10

# The key of TF-A's sample platform token, a public test value (plat/qemu/common/qemu_plat_attest_token.c).
SAMPLE_PLATFORM_KEY = ec.EllipticCurvePublicNumbers(
    0x212867C52E2B9508B0A420A90560F394D2DFAA21BDD7514FF1A901AFE7E1F78BB11D4E66F8A8A38AFA76AF6A31C4DE8C,
    0x84CE2DAFC9964258B53FAD718774F45620D111B176E8318E1187DB0235A318D37BA597FEE80E0E4C762A12BCB3EA6ED4,
    ec.SECP384R1(),
).public_key()


@dataclass(frozen=True)
class Token:
    """A token whose signatures and bindings hold."""

    wrapper: int
    platform: dict[int, Any]
    realm: dict[int, Any]
    realm_signature: bytes


def _whole(data: bytes, what: str) -> Any:
    """One CBOR item and nothing behind it."""
    value = cbor2.loads(data)
    assert cbor2.dumps(value, canonical=False) == data, f"{what}: not in its shortest form, or something follows it"
    return value


def _signed(data: bytes, key: ec.EllipticCurvePublicKey | None, what: str) -> tuple[dict[int, Any], bytes]:
    """Claims and signature of a COSE_Sign1; without a key the realm's own is used."""
    item = _whole(data, what)
    assert isinstance(item, cbor2.CBORTag), f"{what}: no tag"
    assert item.tag == SIGN1, f"{what}: tag {item.tag}"
    protected, unprotected, payload, signature = item.value
    assert cbor2.loads(protected) == {1: ES384}, f"{what}: protected header {protected.hex()}"
    assert unprotected == {}, f"{what}: unprotected header"
    claims = _whole(payload, f"{what}: claims")
    assert len(signature) == 2 * SCALAR_BYTES, f"{what}: a signature of {len(signature)} bytes"
    message = cbor2.dumps(["Signature1", protected, b"", payload])
    halves = (int.from_bytes(signature[at : at + SCALAR_BYTES], "big") for at in (0, SCALAR_BYTES))
    try:
        (key or public_key(claims[KEY])).verify(utils.encode_dss_signature(*halves), message, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise AssertionError(f"{what}: the signature is not its key's") from None
    return claims, signature


def public_key(cose_key: bytes) -> ec.EllipticCurvePublicKey:
    """The key of the claim: a COSE_Key of P-384 with exactly the pairs that the platform's hash is over."""
    key = _whole(cose_key, "realm key")
    assert list(key) == [1, -1, -2, -3], f"realm key: pairs {list(key)}"
    assert (key[1], key[-1]) == (2, 2), "realm key: not EC2 on P-384"
    return ec.EllipticCurvePublicNumbers(
        int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big"), ec.SECP384R1()
    ).public_key()


def _value(value: Any, wrapper: int) -> bytes:
    if wrapper == RECORDS_WRAPPER:
        kind, value = value
        assert kind == RECORD_TYPE, f"record of type {kind}"
    assert isinstance(value, bytes)
    return value


def read_token(data: bytes, *, wrapper: int = WRAPPER) -> Token:
    """Take `data` apart; every signature, and that the platform vouches for the realm's key, is checked."""
    outer = _whole(data, "token")
    assert isinstance(outer, cbor2.CBORTag), "token: no tag"
    assert outer.tag == wrapper, f"token: tag {outer.tag}"
    assert list(outer.value) == [PLATFORM, REALM], f"token: parts {list(outer.value)}"
    platform, _ = _signed(_value(outer.value[PLATFORM], wrapper), SAMPLE_PLATFORM_KEY, "platform token")
    realm, signature = _signed(_value(outer.value[REALM], wrapper), None, "realm token")
    assert realm[KEY_HASH] == "sha-256"
    assert platform[PLATFORM_CHALLENGE] == hashlib.sha256(realm[KEY]).digest(), "the platform vouches for another key"
    assert set(realm) == {CHALLENGE, PROFILE, PERSONALIZATION, HASH, KEY, RIM, REMS, KEY_HASH}
    assert realm[PROFILE] == "tag:arm.com,2023:realm#1.0.0"
    return Token(wrapper, platform, realm, signature)


def extended(rem: bytes, value: bytes, algorithm: str = "sha256") -> bytes:
    """RemExtend (B3): the old value, then the new bytes."""
    return hashlib.new(algorithm, rem + value).digest()
