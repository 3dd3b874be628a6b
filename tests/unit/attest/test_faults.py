# SPDX-License-Identifier: Apache-2.0
"""Tokens that are none: each fault of form is refused with one line that says what is wrong, before any key is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest
from cca_vectors import ABSENT, PLATFORM_KEY, REALM_KEY, REMS, Vector, coordinates, cose_key, raw_key, sign1
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.attest import cose
from orchestrator.attest.token import parse
from orchestrator.errors import AttestationError

P = cose.P384.prime
X, Y = coordinates(REALM_KEY)


def refusal(data: bytes) -> str:
    with pytest.raises(AttestationError) as caught:
        parse(data)
    assert caught.value.exit_code == 5
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200
    return caught.value.message


def wrapped(value: Any, tag: int = 399) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(tag, value))


A, B = Vector().platform_bytes(), Vector().realm_bytes()


# --- wrapper ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    {
        b"": "the end",
        cbor2.dumps({44234: A, 44241: B}): "it does not begin with tag 399 or 907",
        wrapped({44234: A, 44241: B}, 400): "tag 400, which has no place here",
        wrapped({44234: A}): "not a platform token (44234) and a realm token (44241)",
        wrapped({44234: A, 44241: B, 1: 2}): "not a platform token (44234) and a realm token (44241)",
        wrapped([A, B]): "not a platform token (44234) and a realm token (44241)",
        wrapped({44234: A, 44241: "text"}): "44241: no byte string",
        wrapped({44234: [263, A], 44241: [263, B]}): "44234: no byte string",
        wrapped({44234: A, 44241: B}, 907): "44234: no record of type 263",
        wrapped({44234: [263, A], 44241: [264, B]}, 907): "44241: no record of type 263",
        wrapped({44234: [263, A], 44241: [263, B, 1]}, 907): "44241: no record of type 263",
        wrapped({44234: [263, A], 44241: [263, "text"]}, 907): "44241: no byte string",
        Vector().bytes() + b"\0": "1 bytes behind its end",
        b"\xd9\xd9\xf7" + Vector().bytes(): "tag 55799, which has no place here",
    }.items(),
)
def test_wrappers(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_wrapper_with_a_part_twice() -> None:
    part = cbor2.dumps(44234) + cbor2.dumps(A)
    assert "a key that is there twice" in refusal(b"\xd9\x01\x8f\xa2" + part + part)
    three = b"\xd9\x01\x8f\xa3" + part + cbor2.dumps(44241) + cbor2.dumps(B) + part
    assert "a key that is there twice" in refusal(three)


# --- COSE_Sign1 -------------------------------------------------------------------------------------------------------

CLAIMS = cbor2.dumps(Vector().realm_claims())
ALG = cbor2.dumps({1: -35})
SIGNED = {
    sign1(CLAIMS, REALM_KEY, tag=None): "it does not begin with tag 18",
    sign1(CLAIMS, REALM_KEY, tag=17): "tag 17, which has no place here",
    cbor2.dumps(cbor2.CBORTag(18, [ALG, {}, CLAIMS])): "it is not protected header, header, payload and signature",
    cbor2.dumps(cbor2.CBORTag(18, [ALG, {}, None, bytes(96)])): "it is not protected header",
    cbor2.dumps(cbor2.CBORTag(18, [{1: -35}, {}, CLAIMS, bytes(96)])): "it is not protected header",
    cbor2.dumps(cbor2.CBORTag(18, [ALG, [], CLAIMS, bytes(96)])): "it is not protected header",
    sign1(CLAIMS, REALM_KEY, protected=b""): "protected header: the end",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps([1])): "protected header: no map",
    sign1(CLAIMS, REALM_KEY, protected=ALG + b"\0"): "protected header: 1 bytes behind its end",
    sign1(CLAIMS, REALM_KEY, protected=bytes.fromhex("a2013822013822")): "a key that is there twice",
    sign1(CLAIMS, REALM_KEY, protected=bytes.fromhex("a101390022")): "not in its shortest form",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps({})): "signed with none of ES256, ES384, ES512",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps({1: -8})): "signed with none of",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps({1: "ES384"})): "signed with none of",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps({1: -35, 2: [1]})): "critical parameters",
    sign1(CLAIMS, REALM_KEY, unprotected={1: -35}): "parameters that must be signed: 1",
    sign1(CLAIMS, REALM_KEY, unprotected={"x": 1}): "parameters that must be signed: x",
    sign1(CLAIMS, REALM_KEY, protected=cbor2.dumps({1: -35, 4: b"a"}), unprotected={4: b"b"}): "in both headers: 4",
    sign1(CLAIMS, REALM_KEY, signature=bytes(95)): "a signature of 95 bytes, where ES384 has 96",
    sign1(CLAIMS, REALM_KEY, signature=bytes(97)): "a signature of 97 bytes",
    sign1(CLAIMS, REALM_KEY, signature=bytes(64)): "a signature of 64 bytes",
    sign1(CLAIMS + b"\0", REALM_KEY): "claims: 1 bytes behind its end",
    sign1(b"", REALM_KEY): "claims: the end",
    sign1(cbor2.dumps([1]), REALM_KEY): "claims: no map",
    sign1(cbor2.dumps({10: cbor2.CBORTag(2, b"1")}), REALM_KEY): "tag 2, which has no place here",
    sign1(b"\xbf\xff", REALM_KEY): "indefinite length",
    b"": "realm token: the end",
}


@pytest.mark.parametrize(("token", "words"), SIGNED.items(), ids=range(len(SIGNED)))
def test_signed_structures(token: bytes, words: str) -> None:
    assert words in refusal(Vector(realm_token=token).bytes())
    assert words.replace("realm", "platform") in refusal(Vector(platform_token=token).bytes())


def test_hints_on_keys_may_be_unsigned() -> None:
    signed = sign1(CLAIMS, REALM_KEY, unprotected={4: b"name", 33: b"chain"})
    assert parse(Vector(realm_token=signed).bytes()).realm.claims[10] == bytes(range(64))


@pytest.mark.parametrize("halves", [(0, 0), (0, 1), (1, 0), (2**384 - 1, 1), (1, 2**384 - 1)])
def test_halves_of_signatures_that_there_are_not(halves: tuple[int, int]) -> None:
    signature = b"".join(half.to_bytes(48, "big") for half in halves)
    found = parse(Vector(realm_token=sign1(CLAIMS, REALM_KEY, signature=signature)).bytes())
    assert found.realm.signed.complaint(found.realm.key) is not None


# --- keys -------------------------------------------------------------------------------------------------------------


def over_the_prime() -> tuple[bytes, bytes]:
    """A point of P-384 whose x, plus the prime, still fits 48 bytes: a library may take it for the same point."""
    b = 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF
    for x in range(100):
        square = (x**3 - 3 * x + b) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square:
            assert ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
            return (x + P).to_bytes(48, "big"), y.to_bytes(48, "big")
    raise AssertionError


OVER_X, OVER_Y = over_the_prime()
KEYS = {
    cose_key(REALM_KEY, y=bytes([*Y[:-1], Y[-1] ^ 1])): "the point is not on P-384",
    cose_key(REALM_KEY, x=bytes(48), y=bytes(48)): "the point is not on P-384",
    cose_key(REALM_KEY, crv=1): "coordinate x has 48 bytes, not the 32 of P-256",
    cose_key(REALM_KEY, x=X[1:]): "coordinate x has 47 bytes, not the 48 of P-384",
    cose_key(REALM_KEY, y=b"\0" + Y): "coordinate y has 49 bytes",
    cose_key(REALM_KEY, x=b""): "coordinate x has 0 bytes",
    cose_key(REALM_KEY, x=OVER_X, y=OVER_Y): "coordinate x is no element of the field of P-384",
    cose_key(REALM_KEY, y=P.to_bytes(48, "big")): "coordinate y is no element",
    cose_key(REALM_KEY, y=True): "it lacks a coordinate, or has it in another form",
    cose_key(REALM_KEY, y=ABSENT): "it lacks a coordinate",
    cose_key(REALM_KEY, kty=1): "no key on P-256, P-384, P-521",
    cose_key(REALM_KEY, kty=ABSENT): "no key on",
    cose_key(REALM_KEY, crv=6): "no key on",
    cose_key(REALM_KEY, crv=True): "no key on",
    cose_key(REALM_KEY, alg=-7): "on P-384, but for another algorithm than ES384",
    cose_key(REALM_KEY)[:-1]: "the end",
    cose_key(REALM_KEY) + b"\0": "1 bytes behind its end",
    cbor2.dumps(cbor2.loads(cose_key(REALM_KEY)) | {-4: bytes(48)}): "does not have: -4",
    b"\xa5" + cose_key(REALM_KEY)[1:] + cose_key(REALM_KEY)[1:3]: "a key that is there twice",
    cbor2.dumps([1]): "no COSE_Key",
    raw_key(REALM_KEY): "96 bytes behind its end",
}
RAW = {
    raw_key(REALM_KEY)[:-1]: "not the 97 bytes of an uncompressed point of P-384",
    raw_key(REALM_KEY) + b"\0": "not the 97 bytes",
    b"\2" + raw_key(REALM_KEY)[1:]: "not the 97 bytes",
    b"\2" + X: "not the 97 bytes",
    b"\4" + X + X: "the point is not on P-384",
    b"\4" + OVER_X + OVER_Y: "coordinate x is no element",
    cose_key(REALM_KEY): "not the 97 bytes",
}


@pytest.mark.parametrize(("key", "words"), KEYS.items(), ids=range(len(KEYS)))
def test_keys(key: bytes, words: str) -> None:
    message = refusal(Vector(realm={44237: key}).bytes())
    assert message.startswith("realm token: claim 44237 (public key): ")
    assert words in message


@pytest.mark.parametrize(("key", "words"), RAW.items(), ids=range(len(RAW)))
def test_bare_points(key: bytes, words: str) -> None:
    assert words in refusal(Vector(realm_profile="legacy", realm={44237: key}).bytes())


# --- claims -----------------------------------------------------------------------------------------------------------

BAD_CLAIMS: dict[int, list[tuple[Any, str]]] = {
    10: [(bytes(63), "63 bytes, where 64 are due"), ("x", "no byte string")],
    265: [
        (1, "no text"),
        (None, "no text"),
        ("tag:arm.com,2025:realm#9", "unknown profile: 'tag:arm.com,2025:realm#9'"),
    ],
    44235: [(bytes(32), "32 bytes, where 64 are due")],
    44236: [("sha-1", "none of sha-256"), (["sha-256"], "none of"), ("sha-512", "not as long as sha-512 makes them")],
    44237: [(b"", "no byte string, or an empty one"), (1, "no byte string")],
    44238: [(bytes(31), "31 bytes, where 32 or 48 or 64 are due"), (bytes(64), "not as long as sha-256 makes them")],
    44239: [
        (REMS[:3], "not the 4 values"),
        ([*REMS, REMS[0]], "not the 4 values"),
        ([*REMS[:3], b""], "value 3: 0 bytes"),
        ([*REMS[:3], bytes(64)], "not as long as sha-256"),
        ({0: REMS[0]}, "not the 4 values"),
    ],
    44240: [("SHA-256", "none of"), (-16, "none of")],
}
BAD_2024: dict[int, list[tuple[Any, str]]] = {
    44243: [(2, "neither shared (0) nor private (1)"), ("open", "neither"), (True, "neither"), (ABSENT, "is missing")],
    44244: [(2, "neither 0 nor 1"), (True, "neither 0 nor 1")],
    44257: [(bytes(8), "8 bytes")],
    256: [(b"\2" + bytes(32), "its first byte is not 01"), (bytes(32), "32 bytes, where 33 are due")],
}
BAD_PLATFORM: dict[int, list[tuple[Any, str]]] = {
    10: [(bytes(33), "33 bytes"), (ABSENT, "claim 10 (challenge) is missing")],
    265: [(ABSENT, "unknown profile: none is named"), ("tag:arm.com,2023:realm#1.0.0", "unknown profile")],
    256: [(bytes(33), "its first byte is not 01"), (b"\1", "1 bytes, where 33 are due"), (ABSENT, "is missing")],
    2395: [(0x7000, "no lifecycle"), (-1, "no lifecycle"), (True, "no lifecycle"), ("x", "no lifecycle")],
    2396: [(bytes(31), "31 bytes"), (ABSENT, "claim 2396 (implementation id) is missing")],
    2399: [
        ([], "no software components"),
        ({}, "no software components"),
        ([1], "component 0: no map"),
        ([{2: bytes(32)}], "component 0: claim 5 (signer id) is missing"),
        ([{5: bytes(32)}], "component 0: claim 2 (measurement) is missing"),
        ([{2: bytes(20), 5: bytes(32)}], "20 bytes"),
        ([{1: b"x", 2: bytes(32), 5: bytes(32)}], "claim 1 (type): no text"),
        ([{2: bytes(32), 5: bytes(32), 6: "sha-512"}], "not as long as sha-512 makes it"),
        ([{2: bytes(32), 5: bytes(32), 7: 1}], "no bool"),
        ([{2: bytes(32), 5: bytes(32), 8: [b"x"]}], "no hashes"),
    ],
    2400: [(b"x", "no text")],
    2401: [(b"", "no byte string, or an empty one")],
    2402: [("md5", "none of")],
}


def cases(table: dict[int, list[tuple[Any, str]]]) -> list[tuple[int, Any, str]]:
    return [(label, value, words) for label, found in table.items() for value, words in found]


@pytest.mark.parametrize(("label", "value", "words"), cases(BAD_CLAIMS))
def test_claims_of_a_realm(label: int, value: Any, words: str) -> None:
    vector = Vector(realm={label: value})
    if label == 44237:  # the platform's hash is of the right one
        vector = replace(vector, platform_token=A)
    message = refusal(vector.bytes())
    assert message.startswith("realm token: ")
    assert words in message


@pytest.mark.parametrize("label", [label for label in BAD_CLAIMS if label != 265])
def test_missing_claims_of_a_realm(label: int) -> None:
    message = refusal(Vector(realm={label: ABSENT}, platform_token=A).bytes())
    assert message.startswith(f"realm token: claim {label} (")
    assert message.endswith(" is missing")


def test_a_realm_without_profile_has_a_bare_point() -> None:
    assert "not the 97 bytes" in refusal(Vector(realm={265: ABSENT}).bytes())


@pytest.mark.parametrize(("label", "value", "words"), cases(BAD_2024))
@pytest.mark.parametrize("profile", ["2024", "2026"])
def test_claims_of_later_realms(profile: str, label: int, value: Any, words: str) -> None:
    assert words in refusal(Vector(profile, profile, realm={label: value}).bytes())


@pytest.mark.parametrize(("label", "value", "words"), cases(BAD_PLATFORM))
def test_claims_of_a_platform(label: int, value: Any, words: str) -> None:
    message = refusal(Vector(platform={label: value}).bytes())
    assert message.startswith("platform token: ")
    assert words in message


def test_claims_of_later_platforms() -> None:
    assert "claim 2394 (client id): not 1" in refusal(Vector("2024", platform={2394: 2}).bytes())
    assert "claim 2394 (client id) is missing" in refusal(Vector("2024", platform={2394: ABSENT}).bytes())
    assert "claim 2408 (workload binding) is missing" in refusal(Vector("2026", platform={2408: ABSENT}).bytes())
    assert "claim 2408 (workload binding): 31 bytes" in refusal(Vector("2026", platform={2408: bytes(31)}).bytes())


def test_a_profile_of_any_length_is_told_in_a_line() -> None:
    assert "unknown profile" in refusal(Vector(realm={265: "\n\x1b[2J" * 5000}).bytes())


def test_the_keys_of_these_tests_are_two() -> None:
    assert coordinates(PLATFORM_KEY) != coordinates(REALM_KEY)
