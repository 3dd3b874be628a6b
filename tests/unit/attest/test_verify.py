# SPDX-License-Identifier: Apache-2.0
"""Tokens of every profile and wrapper: which hold, which leg a fault takes away, which claims have a verdict."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cca_vectors import (
    CHALLENGE,
    IMPLEMENTATION,
    INSTANCE,
    OTHER_KEY,
    PAIRS,
    PLATFORM_KEY,
    REALM_KEY,
    REMS,
    RIM,
    RPV,
    WRAPPERS,
    Vector,
    cose_key,
    pem,
)
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.attest import known
from orchestrator.attest.appraise import References
from orchestrator.attest.known import QEMU_PLATFORM, QEMU_REALM, PublicTestKey
from orchestrator.attest.policies import read_policy
from orchestrator.attest.rim import Algorithm, Measurements
from orchestrator.attest.verdict import State, Verdict
from orchestrator.attest.verify import verify
from orchestrator.errors import AttestationError, UsageError
from orchestrator.schema.attestation import AttestationPolicy

LEGS = ("platform signature", "realm signature", "binding")
HOLDS, FAILS, NONE = State
MEASURED = Measurements(Algorithm.SHA_256, RIM, tuple(REMS))
COMPONENTS = [
    {"type": "RMM", "measurement": ["51" * 32], "signer": ["52" * 32], "version": ["1"]},
]


def policy(**changes: Any) -> AttestationPolicy:
    """Our own platform key, and no value for anything; `platform` and `realm` are added to."""
    platform = {"keys": [{"name": "ours", "pem": pem(PLATFORM_KEY)}]} | changes.pop("platform", {})
    return AttestationPolicy.model_validate({"name": "test", "required": [], "platform": platform} | changes)


def judge(vector: Vector, *, challenge: bytes | None = CHALLENGE, rim: Any = MEASURED, **changes: Any) -> Verdict:
    return verify(vector.bytes(), policy(**changes), References(challenge, rim))


def legs(verdict: Verdict) -> dict[str, State]:
    assert tuple(each.name for each in verdict.legs) == LEGS
    return {each.name: each.state for each in verdict.legs}


# --- profiles and wrappers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "realm", "wrapper"), PAIRS)
def test_each_profile_in_each_wrapper(platform: str, realm: str, wrapper: int) -> None:
    """What the platform is does not say what the realm's token is, and neither says how they are wrapped."""
    verdict = judge(Vector(platform, realm, wrapper), test_keys="refused", required=["challenge", "rim"])
    assert (verdict.platform_profile, verdict.realm_profile, verdict.wrapper) == (platform, realm, wrapper)
    assert legs(verdict) == dict.fromkeys(LEGS, HOLDS)
    assert (verdict.reasons, verdict.accepted, verdict.test_keys, verdict.surplus) == ((), True, (), ())


@pytest.mark.parametrize("spelling", ["tag:arm.com,2024:platform#2.0.0", "tag:arm.com,2024:cca_platform#2.0.0"])
def test_spellings_of_2024(spelling: str) -> None:
    assert judge(Vector("2024", "2024", platform={265: spelling})).platform_profile == "2024"


@pytest.mark.parametrize("suffix", ["", ";delegated", "#delegated"])
def test_spellings_of_2026(suffix: str) -> None:
    verdict = judge(Vector("2026", "2026", platform={265: f"tag:arm.com,2026:cca_platform#2.0.0{suffix}"}))
    assert verdict.accepted
    assert "claim 2408" in verdict.legs[2].words


def test_only_claim_2408_binds_a_platform_of_2026() -> None:
    """A platform's challenge has another meaning there: the hash in it is none of the realm's key."""
    digest = Vector().platform_claims()[10]
    verdict = judge(Vector("2026", "2026", platform={10: digest, 2408: bytes(32)}))
    assert legs(verdict) == {LEGS[0]: HOLDS, LEGS[1]: HOLDS, LEGS[2]: FAILS}
    assert judge(Vector("2026", "2026", platform={10: bytes(32)})).accepted


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1()])
def test_keys_on_other_curves(curve: ec.EllipticCurve) -> None:
    key = ec.derive_private_key(77, curve)
    assert judge(Vector(realm_key=key)).accepted


def test_a_claim_that_no_profile_has_is_told_and_signed() -> None:
    verdict = judge(Vector(platform={999: 1}, realm={44999: b"x"}))
    assert verdict.accepted
    assert verdict.surplus == ("platform 999", "realm 44999")


# --- legs -------------------------------------------------------------------------------------------------------------


def test_another_platforms_key() -> None:
    verdict = judge(Vector(platform_key=OTHER_KEY))
    assert legs(verdict) == {LEGS[0]: FAILS, LEGS[1]: HOLDS, LEGS[2]: HOLDS}
    assert verdict.reasons == ("platform signature: ours: it was not made with that key over these bytes",)


def test_another_key_behind_the_realms_claim() -> None:
    verdict = judge(Vector(realm_signer=OTHER_KEY))
    assert legs(verdict) == {LEGS[0]: HOLDS, LEGS[1]: FAILS, LEGS[2]: HOLDS}


def test_a_realm_key_that_the_platform_does_not_name() -> None:
    """A monitor of one's own on somebody else's platform: both tokens are well signed."""
    genuine = Vector().platform_bytes()
    verdict = judge(Vector(realm_key=OTHER_KEY, platform_token=genuine))
    assert legs(verdict) == {LEGS[0]: HOLDS, LEGS[1]: HOLDS, LEGS[2]: FAILS}
    assert verdict.claim("rim").state is NONE
    assert "nobody vouches for it" in verdict.claim("rim").words
    assert verdict.claim("config").state is NONE


@pytest.mark.parametrize("name", ["sha-384", "sha-512"])
def test_a_binding_by_another_hash(name: str) -> None:
    digest = hashlib.new(name.replace("-", ""), Vector().key_claim()).digest()
    assert judge(Vector(realm={44240: name}, platform={10: digest})).accepted
    assert legs(judge(Vector(realm={44240: name})))[LEGS[2]] is FAILS


def test_the_binding_is_over_the_claims_very_bytes() -> None:
    """The same key, with its algorithm named in it, has another hash (A7.2.3.2.2)."""
    named = cose_key(REALM_KEY, alg=-35)
    assert judge(Vector(realm={44237: named})).accepted
    verdict = judge(Vector(realm={44237: named}, platform={10: hashlib.sha256(Vector().key_claim()).digest()}))
    assert legs(verdict)[LEGS[2]] is FAILS


def test_no_key_for_a_platform_is_no_verdict_and_a_refusal() -> None:
    for platform in (
        {"keys": []},
        {"keys": [{"name": "ours", "pem": pem(PLATFORM_KEY), "implementation_id": "00" * 32}]},
        {"keys": [{"name": "ours", "pem": pem(PLATFORM_KEY), "instance_id": "00" * 33}]},
    ):
        verdict = judge(Vector(), platform=platform)
        assert legs(verdict)[LEGS[0]] is NONE
        assert verdict.reasons == ("platform signature: the policy names no key for this platform",)
    named = {"implementation_id": IMPLEMENTATION.hex(), "instance_id": INSTANCE.hex()}
    assert judge(Vector(), platform={"keys": [{"name": "ours", "pem": pem(PLATFORM_KEY), **named}]}).accepted


def test_one_of_several_keys() -> None:
    keys = [{"name": "theirs", "pem": pem(OTHER_KEY)}, {"name": "ours", "pem": pem(PLATFORM_KEY)}]
    verdict = judge(Vector(), platform={"keys": keys})
    assert verdict.legs[0].words == "made with the key ours"


def test_a_key_on_another_curve_than_the_signatures() -> None:
    verdict = judge(Vector(platform_key=ec.derive_private_key(5, ec.SECP256R1())))
    assert "it is ES256, the key is on another curve" in verdict.reasons[0]


# --- appraisal --------------------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rim": ({"realm": {"rim": ["00" * 32, RIM.hex()]}}, {"realm": {"rim": ["00" * 32]}}),
    "realm hash algorithm": ({"realm": {"algorithm": ["sha-256"]}}, {"realm": {"algorithm": ["sha-512"]}}),
    "rem 1": (
        {"realm": {"rem": [None, REMS[1].hex(), None, None]}},
        {"realm": {"rem": [None, "00" * 32, None, None]}},
    ),
    "rpv": ({"realm": {"rpv": [RPV.hex()]}}, {"realm": {"rpv": ["00" * 64]}}),
    "mec policy": ({"realm": {"mec_policy": ["shared"]}}, {"realm": {"mec_policy": ["private"]}}),
    "implementation id": (
        {"platform": {"implementation_id": [IMPLEMENTATION.hex()]}},
        {"platform": {"implementation_id": ["00" * 32]}},
    ),
    "instance id": (
        {"platform": {"instance_id": [INSTANCE.hex()]}},
        {"platform": {"instance_id": ["01" + "00" * 32]}},
    ),
    "lifecycle": (
        {"platform": {"lifecycle": ["secured"]}},
        {"platform": {"lifecycle": ["recoverable debug", "unknown"]}},
    ),
    "config": ({"platform": {"config": ["cfcfcfcf"]}}, {"platform": {"config": ["cfcfcf"]}}),
    "realm profile": ({"realm": {"profiles": ["2024"]}}, {"realm": {"profiles": ["legacy", "2023"]}}),
    "platform profile": ({"platform": {"profiles": ["2024"]}}, {"platform": {"profiles": ["2026"]}}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_claim_with_a_reference_value(name: str) -> None:
    """It holds or fails; without the value there is no verdict, and that is no refusal unless the policy says so."""
    vector, (right, wrong) = Vector("2024", "2024"), VALUES[name]
    verdict = judge(vector, rim=None, **right)
    assert verdict.claim(name).state is HOLDS
    assert verdict.accepted
    verdict = judge(vector, rim=None, **wrong)
    assert verdict.claim(name).state is FAILS
    assert [each.partition(":")[0] for each in verdict.reasons] == [name]
    verdict = judge(vector, rim=None)
    assert verdict.claim(name).state is NONE
    assert verdict.accepted
    assert name in verdict.without_verdict
    verdict = judge(vector, rim=None, required=[name])
    assert verdict.reasons == (f"{name}: the policy requires a verdict, and nobody has said what is right",)


def test_a_required_claim_that_the_token_does_not_have() -> None:
    assert not judge(Vector(), required=["mec policy"]).accepted
    verdict = judge(Vector(), realm={"mec_policy": ["shared"]})
    assert verdict.claim("mec policy").state is FAILS


def test_freshness() -> None:
    assert judge(Vector()).claim("challenge").state is HOLDS
    assert judge(Vector(), challenge=None).claim("challenge").state is NONE
    for other in (bytes(64), CHALLENGE[:63], CHALLENGE[:32]):
        verdict = judge(Vector(), challenge=other)
        assert verdict.reasons == ("challenge: not the one that was asked for: an old token, or another's",)
    short = CHALLENGE[:40]
    assert judge(Vector(realm={10: short.ljust(64, b"\0")}), challenge=short).claim("challenge").state is HOLDS
    for size in (0, 31, 65):
        with pytest.raises(UsageError, match=f"not {size}"):
            References(bytes(size))


def test_the_computed_measurement() -> None:
    other = Measurements(Algorithm.SHA_256, bytes(32), tuple(REMS))
    assert judge(Vector()).claim("rim").words == "what this testbed's artifacts give"
    assert judge(Vector(), rim=other).reasons == (f"rim: not {bytes(32).hex()}, which this testbed's artifacts give",)
    verdict = judge(Vector(), rim=Measurements(Algorithm.SHA_512, RIM, tuple(REMS)))
    assert [each.partition(":")[0] for each in verdict.reasons] == ["realm hash algorithm"]
    # A policy that lists measurements is asked as well: what is built here may be what its owner does not want.
    assert judge(Vector(), realm={"rim": ["00" * 32]}).claim("rim").state is FAILS
    assert judge(Vector(), realm={"rim": [RIM.hex()]}).claim("rim").state is HOLDS
    assert judge(Vector(), rim=other, realm={"rim": [RIM.hex()]}).claim("rim").state is FAILS


RMM = {1: "RMM", 2: b"\x51" * 32, 4: "1", 5: b"\x52" * 32}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([RMM], None),
        ([RMM | {2: b"\x50" * 32}], "not as the policy has them: RMM 505050505050"),
        ([RMM | {5: b"\x50" * 32}], "not as the policy has them"),
        ([RMM | {4: "2"}], "not as the policy has them"),
        ([RMM, {1: "BL31", 2: b"\x50" * 32, 5: b"\x52" * 32}], "not as the policy has them: BL31 505050505050"),
        ([RMM, {2: b"\x50" * 32, 5: b"\x52" * 32}], "unnamed 505050505050"),
    ],
)
def test_software_components(found: list[dict[int, Any]], words: str | None) -> None:
    verdict = judge(Vector(platform={2399: found}), platform={"components": COMPONENTS})
    claim = verdict.claim("software components")
    assert claim.state is (FAILS if words else HOLDS)
    assert words is None or words in claim.words
    more = [*COMPONENTS, {"type": "BL2", "measurement": ["00" * 32]}]
    claim = judge(Vector(platform={2399: [RMM]}), platform={"components": more}).claim("software components")
    assert claim.words == "the policy has more: BL2"


def test_what_a_token_says_cannot_draw_on_a_terminal() -> None:
    component = {1: "\x1b[31mRMM\n", 2: bytes(32), 5: bytes(32)}
    verdict = judge(Vector(platform={2399: [component], "\x1b]0;x": 1}), platform={"components": COMPONENTS})
    assert not [each for each in str(verdict.as_table()) if ord(each) < 32]
    assert "\x1b" not in "".join((*verdict.reasons, *verdict.surplus))


# --- test keys --------------------------------------------------------------------------------------------------------


def test_public_test_keys_are_named_in_every_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the policy calls them, and whether or not it allows them; one that does not say refuses them."""
    keys = (PublicTestKey("a", "A", PLATFORM_KEY.public_key()), PublicTestKey("b", "B", REALM_KEY.public_key()))
    monkeypatch.setattr(known, "TEST_KEYS", keys)
    verdict = judge(Vector(), test_keys="allowed")
    assert [each.words for each in verdict.test_keys] == [
        "the platform key is a, a public test value (A)",
        "the realm key is b, a public test value (B)",
    ]
    assert verdict.accepted
    assert verdict.as_table()["test_keys"][1] == {"role": "realm", "name": "b", "source": "B"}
    assert len(judge(Vector()).reasons) == 2
    # A platform whose signature does not hold has used no key; one that is another's in its role is told as well.
    assert [each.role for each in judge(Vector(platform_key=OTHER_KEY)).test_keys] == ["realm"]
    assert judge(Vector(realm_key=PLATFORM_KEY)).test_keys[1].key.name == "a"


def test_the_emulators_keys() -> None:
    """The hash of the sample key is what TF-A's fixed platform token has in its claim 10."""
    x, y = (getattr(QEMU_REALM.key.public_numbers(), axis).to_bytes(48, "big") for axis in ("x", "y"))
    encoded = bytes.fromhex("a401022002215830") + x + bytes.fromhex("225830") + y
    digest = "0d22e08a98469058486318283489bdb36f09dbefeb1864df433fa6e54ea2d711"
    assert hashlib.sha256(encoded).hexdigest() == digest
    assert QEMU_PLATFORM.key != QEMU_REALM.key


def test_the_shipped_policy() -> None:
    shipped = read_policy(None)
    assert (shipped.test_keys, [each.known for each in shipped.platform.keys]) == ("allowed", ["tf-a-qemu-platform"])
    verdict = verify(Vector().bytes(), shipped)
    assert not verdict.accepted
    assert legs(verdict)[LEGS[0]] is FAILS


# --- nothing else is accepted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_no_byte_can_be_changed(wrapper: int) -> None:
    """Each byte of a token is signed, or is the only one that can stand there."""
    token, mine = Vector(wrapper=wrapper).bytes(), policy()
    references = References(CHALLENGE, MEASURED)
    assert verify(token, mine, references).accepted
    for place in range(len(token)):
        changed = bytearray(token)
        changed[place] ^= 1 << place % 8
        try:
            assert not verify(bytes(changed), mine, references).accepted, f"byte {place}"
        except AttestationError:
            continue


def test_no_piece_of_a_token_is_one() -> None:
    token = Vector().bytes()
    for size in range(len(token)):
        with pytest.raises(AttestationError):
            verify(token[:size], policy())
