# SPDX-License-Identifier: Apache-2.0
"""A CCA attestation token taken apart (RMM specification DEN0137, A7.2.3): wrapper, two signed tokens, their claims.

Nothing is believed here: form alone is checked. Who signed it and what it is worth is verify.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.attest import claims
from orchestrator.attest.cbor import decode, decode_tagged
from orchestrator.attest.claims import HASH_BYTES, Label
from orchestrator.attest.cose import Sign1, sign1
from orchestrator.attest.profiles import PLATFORMS, REALMS, PlatformProfile, RealmProfile
from orchestrator.errors import AttestationError

PLATFORM, REALM = 44234, 44241
COLLECTION, RECORDS = 399, 907
"""Tags of the wrapper: of RMM 1.0, and of a collection of records (draft-ietf-rats-msg-wrap)."""
_RECORD_TYPE = 263  # CoAP content format of application/eat+cwt
_WHAT = "token"


@dataclass(frozen=True)
class PlatformToken:
    """What the platform says of itself; `surplus` are the labels of claims that its profile does not have."""

    profile: PlatformProfile
    spelling: str
    signed: Sign1
    claims: Mapping[Any, Any]
    surplus: tuple[str, ...]


@dataclass(frozen=True)
class RealmToken:
    """What the RMM says of a realm, and the key that it has for that."""

    profile: RealmProfile
    spelling: str | None
    signed: Sign1
    claims: Mapping[Any, Any]
    surplus: tuple[str, ...]
    key: ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Token:
    """Both tokens, and the tag of what they came in."""

    wrapper: int
    platform: PlatformToken
    realm: RealmToken


def parse(data: bytes) -> Token:
    """Take a token apart; raises AttestationError with what is wrong, and where."""
    wrapper, parts = decode_tagged(data, _WHAT, frozenset({COLLECTION, RECORDS}))
    if not isinstance(parts, dict) or set(parts) != {PLATFORM, REALM}:
        raise AttestationError(f"{_WHAT}: not a platform token ({PLATFORM}) and a realm token ({REALM})")
    platform, realm = (_content(parts[label], wrapper, label) for label in (PLATFORM, REALM))
    return Token(wrapper, _platform(platform), _realm(realm))


def _content(value: Any, wrapper: int, label: int) -> bytes:
    """The bytes of a token: of tag 907 they are in a record, behind its type."""
    if wrapper == RECORDS:
        if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not int or value[0] != _RECORD_TYPE:
            raise AttestationError(f"{_WHAT}: {label}: no record of type {_RECORD_TYPE}")
        value = value[1]
    if not isinstance(value, bytes):
        raise AttestationError(f"{_WHAT}: {label}: no byte string")
    return value


def _claims(data: bytes, what: str) -> tuple[Sign1, dict[Any, Any], Any]:
    """The signed structure, its claims, and its profile's name."""
    signed = sign1(data, what)
    found = decode(signed.payload, f"{what}: claims")
    if not isinstance(found, dict):
        raise AttestationError(f"{what}: claims: no map")
    spelling = found.get(Label.PROFILE)
    if Label.PROFILE in found and not isinstance(spelling, str):
        raise AttestationError(f"{what}: claim {Label.PROFILE:d} (profile): no text")
    return signed, found, spelling


def _platform(data: bytes) -> PlatformToken:
    what = "platform token"
    signed, found, spelling = _claims(data, what)
    if spelling not in PLATFORMS:
        raise AttestationError(f"{what}: unknown profile: {_shown(spelling)}")
    profile = PLATFORMS[spelling]
    claims.check(found, profile.claims, what)
    return PlatformToken(profile, spelling, signed, found, _surplus(found, profile.claims))


def _realm(data: bytes) -> RealmToken:
    what = "realm token"
    signed, found, spelling = _claims(data, what)
    if spelling not in REALMS:
        raise AttestationError(f"{what}: unknown profile: {_shown(spelling)}")
    profile = REALMS[spelling]
    claims.check(found, profile.claims, what)
    name = found[Label.REALM_HASH]
    if any(len(value) != HASH_BYTES[name] for value in (found[Label.RIM], *found[Label.REMS])):
        raise AttestationError(f"{what}: measurements that are not as long as {name} makes them")
    key = profile.read_key(found[Label.REALM_KEY], f"{what}: claim {Label.REALM_KEY:d} (public key)")
    return RealmToken(profile, spelling, signed, found, _surplus(found, profile.claims), key)


def _surplus(found: Mapping[Any, Any], known: tuple[claims.Claim, ...]) -> tuple[str, ...]:
    labels = {Label.PROFILE, *(each.label for each in known)}
    return tuple(shown(label) for label in found if label not in labels)


def _shown(spelling: str | None) -> str:
    return "none is named" if spelling is None else shown(spelling)


def shown(value: str | int) -> str:
    """A label or text of a token, fit for a line of a terminal whatever its maker had in mind."""
    return str(value) if isinstance(value, int) else ascii(value[:80])
