# SPDX-License-Identifier: Apache-2.0
"""Profiles of platform and realm tokens, each told by its own claim 265: neither the other's nor the wrapper's says it.

A platform keeps its token over updates of the RMM, so that pairs of different years occur and are no fault.

| year | from | what differs |
|---|---|---|
| legacy | RMM specification before 1.0 | the realm has no profile, and its key is a bare point |
| 2023 | RMM specification 1.0-rel0; draft-ffm-rats-cca-token-00 | the realm's key is a COSE_Key |
| 2024 | RMM specification 2.0 before its betas; draft -03 | client id; policy for memory encryption contexts (MEC) |
| 2026 | draft -04, second-hand | the hash of the realm's key is in claim 2408, no longer in the platform's challenge |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.attest import claims, cose
from orchestrator.attest.claims import Claim, Label

ReadKey = Callable[[bytes, str], ec.EllipticCurvePublicKey]


@dataclass(frozen=True)
class PlatformProfile:
    """What a platform token says; `binding` is the claim that holds the hash of the realm's key."""

    name: str
    claims: tuple[Claim, ...]
    binding: Label = Label.CHALLENGE


@dataclass(frozen=True)
class RealmProfile:
    """What a realm token says, and how its key is written down."""

    name: str
    claims: tuple[Claim, ...]
    read_key: ReadKey = cose.cose_key


_PLATFORM = (
    Claim(Label.CHALLENGE, "challenge", claims.any_hash),
    Claim(Label.IMPLEMENTATION_ID, "implementation id", claims.size(32)),
    Claim(Label.INSTANCE_ID, "instance id", claims.ueid),
    Claim(Label.CONFIG, "config", claims.some_bytes),
    Claim(Label.LIFECYCLE, "lifecycle", claims.lifecycle),
    Claim(Label.COMPONENTS, "software components", claims.components),
    Claim(Label.VERIFICATION_SERVICE, "verification service", claims.text, optional=True),
    Claim(Label.PLATFORM_HASH, "hash algorithm", claims.hash_name),
)
_PLATFORM_2024 = (
    *_PLATFORM,
    Claim(Label.CLIENT_ID, "client id", claims.client),
    Claim(Label.MANUFACTURING, "manufacturing config", claims.some_bytes, optional=True),
)
_PLATFORM_2026 = (
    *(each for each in _PLATFORM if each.label != Label.CHALLENGE),
    Claim(Label.CHALLENGE, "challenge", claims.any_hash, optional=True),
    Claim(Label.WORKLOAD_BINDING, "workload binding", claims.any_hash),
    Claim(Label.CLIENT_ID, "client id", claims.client, optional=True),
    Claim(Label.MANUFACTURING, "manufacturing config", claims.some_bytes, optional=True),
)
_REALM = (
    Claim(Label.CHALLENGE, "challenge", claims.size(claims.CHALLENGE_BYTES)),
    Claim(Label.RPV, "personalization value", claims.size(64)),
    Claim(Label.REALM_HASH, "hash algorithm", claims.hash_name),
    Claim(Label.REALM_KEY, "public key", claims.some_bytes),
    Claim(Label.RIM, "initial measurement", claims.any_hash),
    Claim(Label.REMS, "extensible measurements", claims.rems),
    Claim(Label.KEY_HASH, "hash algorithm of the public key", claims.hash_name),
)
# The RMM specification demands the instance id, the draft does not have it: tokens of both kinds are met.
_REALM_2024 = (
    *_REALM,
    Claim(Label.INSTANCE_ID, "instance id", claims.ueid, optional=True),
    Claim(Label.MEC_POLICY, "MEC policy", claims.mec_policy),
    Claim(Label.LFA_POLICY, "LFA policy", claims.lfa_policy, optional=True),
    Claim(Label.DEVICES_HASH, "hash of the devices' token", claims.any_hash, optional=True),
)

_DELEGATED = ("", ";delegated", "#delegated")  # who keeps the realm's key; written in two ways
PLATFORMS = {
    "http://arm.com/CCA-SSD/1.0.0": PlatformProfile("legacy", _PLATFORM),
    "tag:arm.com,2023:cca_platform#1.0.0": PlatformProfile("2023", _PLATFORM),
    **{f"tag:arm.com,2024:{cca}platform#2.0.0": PlatformProfile("2024", _PLATFORM_2024) for cca in ("cca_", "")},
    **{
        f"tag:arm.com,2026:{cca}platform#2.0.0{suffix}": PlatformProfile("2026", _PLATFORM_2026, Label.WORKLOAD_BINDING)
        for cca in ("cca_", "")
        for suffix in _DELEGATED
    },
}
"""Profiles by claim 265 of a platform token; implementations spell some in more than one way."""
REALMS: dict[str | None, RealmProfile] = {
    None: RealmProfile("legacy", _REALM, cose.raw_key),
    "tag:arm.com,2023:realm#1.0.0": RealmProfile("2023", _REALM),
    **{f"tag:arm.com,2024:{cca}realm#2.0.0": RealmProfile("2024", _REALM_2024) for cca in ("cca_", "")},
    **{f"tag:arm.com,2026:{cca}realm#2.0.0": RealmProfile("2026", _REALM_2024) for cca in ("cca_", "")},
}
"""Profiles by claim 265 of a realm token; the oldest have none."""
