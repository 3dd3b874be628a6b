# SPDX-License-Identifier: Apache-2.0
"""Who signed a token, whether its two halves belong together, and whether what it says is what a policy asks for.

The legs come first and apart, since each proves another thing. Claims are appraised whatever became of them, so that a
refusal tells all of its reasons; but none holds on a leg that does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from orchestrator.attest.appraise import References, appraise_platform, appraise_realm
from orchestrator.attest.claims import Label
from orchestrator.attest.known import TEST_KEYS, known_test_key
from orchestrator.attest.token import PlatformToken, Token, parse
from orchestrator.attest.verdict import Finding, State, UsedTestKey, Verdict
from orchestrator.schema.attestation import AttestationPolicy, PlatformKey

PLATFORM_LEG, REALM_LEG, BINDING_LEG = "platform signature", "realm signature", "binding"


@dataclass(frozen=True)
class _Anchor:
    name: str
    key: ec.EllipticCurvePublicKey


def verify(data: bytes, policy: AttestationPolicy, references: References | None = None) -> Verdict:
    """Verify a token; raises AttestationError for one that is not in the form of a token at all.

    A token that is refused for another reason is a verdict like any other: `accepted` is false and `reasons` say why.
    """
    token = parse(data)
    platform_leg, anchor = _platform(token.platform, policy)
    legs = (platform_leg, _realm(token), _binding(token))
    claims = (
        *_vouched(appraise_realm(token, policy, references or References()), legs),
        *_vouched(appraise_platform(token, policy), (platform_leg,)),
    )
    used = tuple(_test_keys(token, anchor))
    return Verdict(
        policy=policy.name,
        wrapper=token.wrapper,
        platform_profile=token.platform.profile.name,
        realm_profile=token.realm.profile.name,
        legs=legs,
        claims=claims,
        test_keys=used,
        surplus=(
            *(f"platform {label}" for label in token.platform.surplus),
            *(f"realm {label}" for label in token.realm.surplus),
        ),
        reasons=tuple(_reasons(legs, claims, used, policy)),
    )


def _platform(token: PlatformToken, policy: AttestationPolicy) -> tuple[Finding, _Anchor | None]:
    """The first leg, and the key that made it hold."""
    anchors = [_anchor(each) for each in policy.platform.keys if _vouches(each, token)]
    if not anchors:
        return Finding(PLATFORM_LEG, State.NONE, "the policy names no key for this platform"), None
    complaints = []
    for anchor in anchors:
        words = token.signed.complaint(anchor.key)
        if words is None:
            return Finding(PLATFORM_LEG, State.HOLDS, f"made with the key {anchor.name}"), anchor
        complaints.append(f"{anchor.name}: {words}")
    return Finding(PLATFORM_LEG, State.FAILS, "; ".join(complaints)), None


def _vouches(each: PlatformKey, token: PlatformToken) -> bool:
    """Whether a key is one for the implementation and the instance that the token names."""
    implementation, instance = token.claims[Label.IMPLEMENTATION_ID], token.claims[Label.INSTANCE_ID]
    return each.implementation_id in (None, implementation) and each.instance_id in (None, instance)


def _anchor(each: PlatformKey) -> _Anchor:
    if each.known is not None:
        return _Anchor(each.known, next(known.key for known in TEST_KEYS if known.name == each.known))
    key = load_pem_public_key(str(each.pem).encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - the schema has seen to that
    return _Anchor(str(each.name), key)


def _realm(token: Token) -> Finding:
    """The second leg. Whose key it is, the third one says."""
    words = token.realm.signed.complaint(token.realm.key)
    if words is not None:
        return Finding(REALM_LEG, State.FAILS, words)
    return Finding(REALM_LEG, State.HOLDS, f"made with the key in claim {Label.REALM_KEY:d}")


def _binding(token: Token) -> Finding:
    """The third leg: the platform names the realm's key by its hash (A7.2.3.2.2)."""
    label = token.platform.profile.binding
    name = token.realm.claims[Label.KEY_HASH]
    digest = hashlib.new(name.replace("-", ""), token.realm.claims[Label.REALM_KEY]).digest()
    found = token.platform.claims[label]
    place = f"claim {label:d} of the platform token"
    if found != digest:
        return Finding(BINDING_LEG, State.FAILS, f"{place} is not the {name} of the realm's key", found.hex())
    return Finding(BINDING_LEG, State.HOLDS, f"{place} is the {name} of the realm's key", found.hex())


def _vouched(findings: Iterator[Finding], legs: tuple[Finding, ...]) -> Iterator[Finding]:
    """What is wrong stays wrong; what would be right is not, where a leg that it stands on does not hold."""
    whole = all(leg.state is State.HOLDS for leg in legs)
    for each in findings:
        if each.state is State.HOLDS and not whole:
            yield replace(each, state=State.NONE, words=f"{each.words}, but nobody vouches for it")
        else:
            yield each


def _test_keys(token: Token, anchor: _Anchor | None) -> Iterator[UsedTestKey]:
    known = known_test_key(anchor.key) if anchor is not None else None
    if known is not None:
        yield UsedTestKey("platform", known)
    if (known := known_test_key(token.realm.key)) is not None:
        yield UsedTestKey("realm", known)


def _reasons(
    legs: tuple[Finding, ...], claims: tuple[Finding, ...], used: tuple[UsedTestKey, ...], policy: AttestationPolicy
) -> Iterator[str]:
    """Why a token is refused: a leg that does not hold, a claim that fails, or one without the verdict it needs."""
    for leg in legs:
        if leg.state is not State.HOLDS:
            yield f"{leg.name}: {leg.words}"
    for claim in claims:
        if claim.state is State.FAILS:
            yield f"{claim.name}: {claim.words}"
    judged = {claim.name for claim in claims if claim.state is not State.NONE}
    for name in policy.required:
        if name not in judged:
            yield f"{name}: the policy requires a verdict, and nobody has said what is right"
    if policy.test_keys == "refused":
        for each in used:
            yield f"{each.words}, and the policy refuses such"
