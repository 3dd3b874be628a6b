# SPDX-License-Identifier: Apache-2.0
"""Claims of the two tokens: label, name and form of each, by profile (RMM specification DEN0137, A7.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from orchestrator.errors import AttestationError

Form = Callable[[Any], str | None]
"""What is wrong with a claim's value, in a few words; None if nothing is."""

HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Sizes by name (IANA named information hash algorithms): a measurement has 256 bits or more (A7.2.3)."""
CHALLENGE_BYTES = 64
REMS = 4


class Label(IntEnum):
    """Labels of claims: of EAT (RFC 9711), of PSA tokens (RFC 9783), and of CCA."""

    CHALLENGE = 10
    INSTANCE_ID = 256
    PROFILE = 265
    CLIENT_ID = 2394
    LIFECYCLE = 2395
    IMPLEMENTATION_ID = 2396
    COMPONENTS = 2399
    VERIFICATION_SERVICE = 2400
    CONFIG = 2401
    PLATFORM_HASH = 2402
    MANUFACTURING = 2403
    WORKLOAD_BINDING = 2408
    RPV = 44235
    REALM_HASH = 44236
    REALM_KEY = 44237
    RIM = 44238
    REMS = 44239
    KEY_HASH = 44240
    MEC_POLICY = 44243
    LFA_POLICY = 44244
    DEVICES_HASH = 44257


class Part(IntEnum):
    """Labels inside a software component (A7.2.3.2.7)."""

    TYPE = 1
    MEASUREMENT = 2
    VERSION = 4
    SIGNER = 5
    HASH = 6
    LIVE = 7
    COUNTERSIGNERS = 8


LIFECYCLES = {
    0x00: "unknown",
    0x10: "assembly and test",
    0x20: "provisioning",
    0x30: "secured",
    0x40: "non-platform debug",
    0x50: "recoverable debug",
    0x60: "decommissioned",
}
"""States by bits 15:8 of the lifecycle claim (A7.2.3.2.6)."""
MEC_POLICIES = {0: "shared", 1: "private", "shared": "shared", "private": "private"}
"""The RMM specification has numbers, the draft of the token's format text."""


@dataclass(frozen=True)
class Claim:
    """One claim of a profile."""

    label: int
    name: str
    form: Form
    optional: bool = False


def check(claims: Mapping[Any, Any], wanted: tuple[Claim, ...], what: str) -> None:
    """Raise AttestationError unless each claim is there, where it has to be, in its form."""
    for claim in wanted:
        if claim.label not in claims:
            if claim.optional:
                continue
            raise AttestationError(f"{what}: claim {claim.label} ({claim.name}) is missing")
        if words := claim.form(claims[claim.label]):
            raise AttestationError(f"{what}: claim {claim.label} ({claim.name}): {words}")


# --- forms ------------------------------------------------------------------------------------------------------------


def size(*sizes: int) -> Form:
    """A byte string of one of these sizes."""

    def form(value: Any) -> str | None:
        if not isinstance(value, bytes):
            return "no byte string"
        wanted = " or ".join(str(each) for each in sizes)
        return None if len(value) in sizes else f"{len(value)} bytes, where {wanted} are due"

    return form


any_hash = size(*HASH_BYTES.values())


def some_bytes(value: Any) -> str | None:
    """A byte string that is not empty."""
    return None if isinstance(value, bytes) and value else "no byte string, or an empty one"


def text(value: Any) -> str | None:
    """Text."""
    return None if isinstance(value, str) else "no text"


def hash_name(value: Any) -> str | None:
    """Name of a hash of 256 bits or more."""
    known = isinstance(value, str) and value in HASH_BYTES
    return None if known else f"none of {', '.join(HASH_BYTES)}"


def ueid(value: Any) -> str | None:
    """33 bytes, the first of which says that it is random (RFC 9711, 4.2.1)."""
    wrong = size(33)(value)
    return wrong or (None if value[0] == 1 else "its first byte is not 01")


def lifecycle(value: Any) -> str | None:
    """A state that there is, in bits 15:8."""
    known = type(value) is int and value >> 8 in LIFECYCLES
    return None if known else "no lifecycle that there is"


def client(value: Any) -> str | None:
    """The one client, 1: the Realm world."""
    return None if type(value) is int and value == 1 else "not 1"


def mec_policy(value: Any) -> str | None:
    """Shared or private, as number or as text."""
    known = type(value) in (int, str) and value in MEC_POLICIES
    return None if known else "neither shared (0) nor private (1)"


def lfa_policy(value: Any) -> str | None:
    """Whether firmware may be activated live, as a number."""
    return None if type(value) is int and value in (0, 1) else "neither 0 nor 1"


def rems(value: Any) -> str | None:
    """Four values of a hash."""
    if not isinstance(value, list) or len(value) != REMS:
        return f"not the {REMS} values that there are"
    return next((f"value {number}: {words}" for number, each in enumerate(value) if (words := any_hash(each))), None)


_PARTS = (
    Claim(Part.TYPE, "type", text, optional=True),
    Claim(Part.MEASUREMENT, "measurement", any_hash),
    Claim(Part.VERSION, "version", text, optional=True),
    Claim(Part.SIGNER, "signer id", any_hash),
    Claim(Part.HASH, "hash algorithm", hash_name, optional=True),
    Claim(Part.LIVE, "live activation", lambda value: None if isinstance(value, bool) else "no bool", optional=True),
    Claim(
        Part.COUNTERSIGNERS,
        "countersigner ids",
        lambda value: None if isinstance(value, list) and value and not any(map(any_hash, value)) else "no hashes",
        optional=True,
    ),
)


def components(value: Any) -> str | None:
    """At least one software component, each with measurement and signer, the former as long as its algorithm says."""
    if not isinstance(value, list) or not value:
        return "no software components"
    for number, each in enumerate(value):
        if not isinstance(each, dict):
            return f"component {number}: no map"
        try:
            check(each, _PARTS, f"component {number}")
        except AttestationError as error:
            return error.message
        if Part.HASH in each and len(each[Part.MEASUREMENT]) != HASH_BYTES[each[Part.HASH]]:
            return f"component {number}: its measurement is not as long as {each[Part.HASH]} makes it"
    return None
