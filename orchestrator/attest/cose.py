# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 and elliptic-curve COSE_Key (RFC 9052, 4.2 and 7; RFC 9053, 2.1 and 7.1), read strictly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from orchestrator.attest.cbor import decode, decode_tagged
from orchestrator.errors import AttestationError

SIGN1_TAG = 18
_UNCOMPRESSED = 0x04  # first byte of a point (SEC 1, 2.3.3)
_ALG, _CRIT, _KID, _X5CHAIN = 1, 2, 4, 33  # header labels (RFC 9052, 3.1; RFC 9360, 2)
_KTY, _KEY_ALG, _CRV, _X, _Y = 1, 3, -1, -2, -3  # key labels (RFC 9052, 7.1; RFC 9053, 7.1.1)
_EC2 = 2


@dataclass(frozen=True)
class Curve:
    """A curve with the one signature algorithm that COSE recommends on it (RFC 9053, 2.1)."""

    name: str
    number: int
    prime: int
    curve: ec.EllipticCurve
    algorithm: int
    label: str
    hash: hashes.HashAlgorithm

    @property
    def size(self) -> int:
        """Bytes of a coordinate, and of each half of a signature."""
        return (self.curve.key_size + 7) // 8


P256 = Curve(
    "P-256", 1, 2**256 - 2**224 + 2**192 + 2**96 - 1, ec.SECP256R1(), -7, "ES256", hashes.SHA256()
)  # SP 800-186, 3.2.1
P384 = Curve("P-384", 2, 2**384 - 2**128 - 2**96 + 2**32 - 1, ec.SECP384R1(), -35, "ES384", hashes.SHA384())
P521 = Curve("P-521", 3, 2**521 - 1, ec.SECP521R1(), -36, "ES512", hashes.SHA512())
CURVES = (P256, P384, P521)
"""Those of RFC 9053 that a token may be signed on."""


def curve_of(key: ec.EllipticCurvePublicKey) -> Curve | None:
    """The curve of a key; None for one that no token may be signed on."""
    return next((each for each in CURVES if each.curve.name == key.curve.name), None)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key as SubjectPublicKeyInfo, in hexadecimal."""
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def point(curve: Curve, x: bytes, y: bytes, what: str) -> ec.EllipticCurvePublicKey:
    """A key from its coordinates, big-endian; raises AttestationError unless each has its one form, on the curve."""
    for name, value in (("x", x), ("y", y)):
        if len(value) != curve.size:
            raise AttestationError(
                f"{what}: coordinate {name} has {len(value)} bytes, not the {curve.size} of {curve.name}"
            )
        if int.from_bytes(value, "big") >= curve.prime:  # a library may take it modulo the prime
            raise AttestationError(f"{what}: coordinate {name} is no element of the field of {curve.name}")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve.curve)
    try:
        return numbers.public_key()
    except ValueError:
        raise AttestationError(f"{what}: the point is not on {curve.name}") from None


def raw_key(data: bytes, what: str) -> ec.EllipticCurvePublicKey:
    """A P-384 key as an uncompressed point, 04 ‖ x ‖ y (SEC 1, 2.3.3): what tokens had before they had COSE_Keys."""
    size = P384.size
    if len(data) != 1 + 2 * size or data[0] != _UNCOMPRESSED:
        raise AttestationError(f"{what}: not the {1 + 2 * size} bytes of an uncompressed point of {P384.name}")
    return point(P384, data[1 : 1 + size], data[1 + size :], what)


def cose_key(data: bytes, what: str) -> ec.EllipticCurvePublicKey:
    """The public key of an encoded COSE_Key with both coordinates, and with nothing else but its algorithm."""
    found = decode(data, what)
    if not isinstance(found, dict):
        raise AttestationError(f"{what}: no COSE_Key")
    if surplus := set(found) - {_KTY, _KEY_ALG, _CRV, _X, _Y}:
        raise AttestationError(f"{what}: parameters that a realm's public key does not have: {_listed(surplus)}")
    number = found.get(_CRV)
    curve = next((each for each in CURVES if type(number) is int and each.number == number), None)
    if found.get(_KTY) != _EC2 or curve is None:
        raise AttestationError(f"{what}: no key on {', '.join(each.name for each in CURVES)}")
    if _KEY_ALG in found and found[_KEY_ALG] != curve.algorithm:
        raise AttestationError(f"{what}: on {curve.name}, but for another algorithm than {curve.label}")
    x, y = found.get(_X), found.get(_Y)
    if not isinstance(x, bytes) or not isinstance(y, bytes):
        raise AttestationError(f"{what}: it lacks a coordinate, or has it in another form than bytes")
    return point(curve, x, y, what)


@dataclass(frozen=True)
class Sign1:
    """A COSE_Sign1: its payload, and what is needed to check who signed it."""

    protected: bytes
    curve: Curve
    payload: bytes
    signature: bytes

    def complaint(self, key: ec.EllipticCurvePublicKey) -> str | None:
        """What is wrong with the signature if it is to be `key`'s; None if nothing is."""
        if key.curve.name != self.curve.curve.name:
            return f"it is {self.curve.label}, the key is on another curve"
        size = self.curve.size
        r, s = (int.from_bytes(part, "big") for part in (self.signature[:size], self.signature[size:]))
        message = cbor2.dumps(["Signature1", self.protected, b"", self.payload])  # Sig_structure (RFC 9052, 4.4)
        try:
            key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(self.curve.hash))
        except InvalidSignature:
            return "it was not made with that key over these bytes"
        return None


def sign1(data: bytes, what: str) -> Sign1:
    """Take a tagged COSE_Sign1 apart; raises AttestationError for one that is not as RFC 9052, 4.2 has it."""
    _, parts = decode_tagged(data, what, frozenset({SIGN1_TAG}))
    if not isinstance(parts, list) or [type(part) for part in parts] != [bytes, dict, bytes, bytes]:
        raise AttestationError(f"{what}: no COSE_Sign1: it is not protected header, header, payload and signature")
    protected, unprotected, payload, signature = parts
    curve = _algorithm(protected, unprotected, what)
    if len(signature) != 2 * curve.size:
        raise AttestationError(
            f"{what}: a signature of {len(signature)} bytes, where {curve.label} has {2 * curve.size}"
        )
    return Sign1(protected, curve, payload, signature)


def _algorithm(protected: bytes, unprotected: dict[Any, Any], what: str) -> Curve:
    """The curve that the headers lead to. Nobody vouches for the unprotected one: it may have hints on keys only."""
    header = decode(protected, f"{what}: protected header")
    if not isinstance(header, dict):
        raise AttestationError(f"{what}: protected header: no map")
    if _CRIT in header:
        raise AttestationError(f"{what}: protected header: it has critical parameters, and none is known here")
    if surplus := set(unprotected) - {_KID, _X5CHAIN}:
        raise AttestationError(f"{what}: unprotected header: parameters that must be signed: {_listed(surplus)}")
    if twice := set(unprotected) & set(header):
        raise AttestationError(f"{what}: parameters in both headers: {_listed(twice)}")
    number = header.get(_ALG)
    curve = next((each for each in CURVES if type(number) is int and each.algorithm == number), None)
    if curve is None:
        raise AttestationError(f"{what}: signed with none of {', '.join(each.label for each in CURVES)}")
    return curve


def _listed(labels: set[Any]) -> str:
    return ", ".join(sorted(str(label) for label in labels))
