# SPDX-License-Identifier: Apache-2.0
"""The claims of a token, each held against its reference value; without one there is no verdict on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.attest.claims import CHALLENGE_BYTES, LIFECYCLES, MEC_POLICIES, Label, Part
from orchestrator.attest.rim import Measurements
from orchestrator.attest.token import Token, shown
from orchestrator.attest.verdict import Finding, State
from orchestrator.errors import UsageError
from orchestrator.schema.attestation import AttestationPolicy, Component

_NOBODY = "no reference value"
MIN_CHALLENGE_BYTES = 32
"""What a guest's kernel takes at least; it fills up with zeros."""


@dataclass(frozen=True)
class References:
    """Values that come from elsewhere than a policy: the challenge of this exchange, and a computed measurement."""

    challenge: bytes | None = None
    measurements: Measurements | None = None

    def __post_init__(self) -> None:
        if self.challenge is not None and not MIN_CHALLENGE_BYTES <= len(self.challenge) <= CHALLENGE_BYTES:
            raise UsageError(
                f"a challenge has {MIN_CHALLENGE_BYTES} to {CHALLENGE_BYTES} bytes, not {len(self.challenge)}"
            )


def appraise_realm(token: Token, policy: AttestationPolicy, references: References) -> Iterator[Finding]:
    """A finding for each claim of the realm token that there can be a reference value for."""
    yield _challenge(token, references)
    yield from _measured(token, policy, references)
    yield from _attributes(token, policy)


def _challenge(token: Token, references: References) -> Finding:
    found = token.realm.claims[Label.CHALLENGE]
    if references.challenge is None:
        return Finding("challenge", State.NONE, f"{_NOBODY}: whether it is fresh cannot be said", found.hex())
    if found != references.challenge.ljust(CHALLENGE_BYTES, b"\0"):
        words = "not the one that was asked for: an old token, or another's"
        return Finding("challenge", State.FAILS, words, found.hex())
    return Finding("challenge", State.HOLDS, "the one that was asked for", found.hex())


def _measured(token: Token, policy: AttestationPolicy, references: References) -> Iterator[Finding]:
    """What the RMM has measured: the initial value against the computed one and the policy's, the others by slot."""
    realm, asked, computed = token.realm.claims, policy.realm, references.measurements
    algorithm = computed.algorithm.label if computed else None
    yield _computed("realm hash algorithm", realm[Label.REALM_HASH], algorithm, asked.algorithm)
    yield _computed("rim", realm[Label.RIM], computed.rim if computed else None, asked.rim)
    wanted = policy.realm.rem or [None] * len(realm[Label.REMS])
    for number, (found, right) in enumerate(zip(realm[Label.REMS], wanted, strict=True)):
        yield _one_of(f"rem {number}", found, None if right is None else [right])


def _attributes(token: Token, policy: AttestationPolicy) -> Iterator[Finding]:
    realm, asked = token.realm.claims, policy.realm
    yield _one_of("rpv", realm[Label.RPV], asked.rpv)
    if Label.MEC_POLICY in realm:
        yield _one_of("mec policy", MEC_POLICIES[realm[Label.MEC_POLICY]], asked.mec_policy)
    elif asked.mec_policy is not None:
        yield Finding("mec policy", State.FAILS, "the token has no such claim, and the policy asks for one")
    yield _one_of("realm profile", token.realm.profile.name, asked.profiles)


def appraise_platform(token: Token, policy: AttestationPolicy) -> Iterator[Finding]:
    """A finding for each claim of the platform token; `software components` is one for all of them."""
    platform, asked = token.platform.claims, policy.platform
    yield _one_of("platform profile", token.platform.profile.name, asked.profiles)
    yield _one_of("implementation id", platform[Label.IMPLEMENTATION_ID], asked.implementation_id)
    yield _one_of("instance id", platform[Label.INSTANCE_ID], asked.instance_id)
    yield _one_of("lifecycle", LIFECYCLES[platform[Label.LIFECYCLE] >> 8], asked.lifecycle)
    yield _one_of("config", platform[Label.CONFIG], asked.config)
    yield _components(platform[Label.COMPONENTS], asked.components)


def _one_of(name: str, found: bytes | str, right: Sequence[bytes] | Sequence[str] | None) -> Finding:
    """A claim that must be one of some values."""
    text = found.hex() if isinstance(found, bytes) else found
    if right is None:
        return Finding(name, State.NONE, _NOBODY, text)
    if found in right:
        return Finding(name, State.HOLDS, "as the policy has it", text)
    wanted = [each.hex() if isinstance(each, bytes) else each for each in right]
    return Finding(name, State.FAILS, f"not {' or '.join(wanted)}", text)


def _computed(
    name: str, found: bytes | str, computed: bytes | str | None, right: Sequence[bytes] | Sequence[str] | None
) -> Finding:
    """A claim that must be what was computed for it, and one of the policy's values as well if that has any."""
    if computed is None or (found == computed and right is not None):
        return _one_of(name, found, right)
    text, wanted = (each.hex() if isinstance(each, bytes) else each for each in (found, computed))
    if found != computed:
        return Finding(name, State.FAILS, f"not {wanted}, which this testbed's artifacts give", text)
    return Finding(name, State.HOLDS, "what this testbed's artifacts give", text)


def _components(found: list[Mapping[Any, Any]], asked: list[Component] | None) -> Finding:
    """All that the policy lists must be there and right; what it does not list would be another firmware."""
    name, text = "software components", ", ".join(_called(each) for each in found)
    if asked is None:
        return Finding(name, State.NONE, _NOBODY, text)
    wrong = [_called(each) for each in found if not any(_matches(each, right) for right in asked)]
    if wrong:
        return Finding(name, State.FAILS, f"not as the policy has them: {', '.join(wrong)}", text)
    missing = [right.type for right in asked if not any(_matches(each, right) for each in found)]
    if missing:
        return Finding(name, State.FAILS, f"the policy has more: {', '.join(missing)}", text)
    return Finding(name, State.HOLDS, "as the policy has them", text)


def _matches(found: Mapping[Any, Any], right: Component) -> bool:
    return (
        found.get(Part.TYPE) == right.type
        and found[Part.MEASUREMENT] in right.measurement
        and (right.signer is None or found[Part.SIGNER] in right.signer)
        and (right.version is None or found.get(Part.VERSION) in right.version)
    )


def _called(component: Mapping[Any, Any]) -> str:
    """Its type, fit for a line, with the begin of its measurement."""
    kind = component.get(Part.TYPE)
    label = "unnamed" if kind is None else shown(kind).strip("'\"")
    return f"{label} {component[Part.MEASUREMENT].hex()[:12]}"
