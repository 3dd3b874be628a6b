# SPDX-License-Identifier: Apache-2.0
"""Strict CBOR: what the library lets through is refused with one line, and what is taken has one encoding only."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from cca_vectors import Vector
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.attest.cbor import MAX_BYTES, MAX_DEPTH, decode, decode_tagged
from orchestrator.errors import AttestationError

TAGS = frozenset({18, 399})
REFUSED = {
    "": "the end, inside what begins at byte 0, at byte 0",
    "0101": "1 bytes behind its end, at byte 1",
    "01f6": "1 bytes behind its end",
    "a201010102": "a key that is there twice, at byte 3",
    "a2616100616100": "a key that is there twice",
    "bf0101ff": "indefinite length, at byte 0",
    "9f01ff": "indefinite length",
    "5f4101ff": "indefinite length",
    "7f6161ff": "indefinite length",
    "81ff": "indefinite length, at byte 1",
    "1817": "not in its shortest form",
    "190018": "not in its shortest form",
    "1900ff": "not in its shortest form",
    "1a0000ffff": "not in its shortest form",
    "1b00000000ffffffff": "not in its shortest form",
    "3817": "not in its shortest form",
    "580101": "not in its shortest form",
    "78016161": "not in its shortest form",
    "980101": "not in its shortest form",
    "b8010101": "not in its shortest form",
    "d81200": "not in its shortest form, at byte 0",
    "d200": "tag 18, which has no place here, at byte 0",
    "d9001200": "not in its shortest form",
    "1c": "a reserved head",
    "fd": "a reserved head",
    "c24101": "tag 2, which has no place here",  # a number that a library makes of a string
    "d8236161": "tag 35, which has no place here",  # an expression that a library compiles
    "d81c80": "tag 28, which has no place here",  # a value that a library shares
    "81d200": "tag 18, which has no place here, at byte 1",
    "e0": "no number, string, true, false or null",
    "f7": "no number, string, true, false or null",
    "f818": "a number with a point, or an unassigned value",
    "f90000": "a number with a point",
    "fa00000000": "a number with a point",
    "fb0000000000000000": "a number with a point",
    "61ff": "text that is not UTF-8",
    "62c080": "text that is not UTF-8",
    "a1810101": "a key that is neither a number nor text",
    "a14101f6": "a key that is neither a number nor text",
    "a1f501": "a key that is neither a number nor text",
    "41": "the end, inside what begins at byte 0",
    "5bffffffffffffffff": "the end, inside",
    "9bffffffffffffffff": "the end, inside",
    "bbffffffffffffffff": "the end, inside",
    "19": "the end, inside",
    "81" * (MAX_DEPTH + 1) + "01": f"more than {MAX_DEPTH} levels",
    "81" * 60000 + "01": f"more than {MAX_DEPTH} levels",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=[each[:24] or "nothing" for each in REFUSED])
def test_faults_are_refused(text: str, words: str) -> None:
    with pytest.raises(AttestationError) as caught:
        decode(bytes.fromhex(text), "thing")
    assert caught.value.message.startswith("thing: ")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_what_is_too_long_is_refused_unread() -> None:
    with pytest.raises(AttestationError, match="more than the 65536"):
        decode(bytes(MAX_BYTES + 1), "thing")
    assert decode(b"\x59\xff\xfd" + bytes(MAX_BYTES - 3), "thing") == bytes(MAX_BYTES - 3)


def test_the_deepest_is_taken() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(cbor2.dumps(value), "thing") == value


def test_a_tag_where_it_may_be() -> None:
    assert decode_tagged(bytes.fromhex("d2820102"), "thing", TAGS) == (18, [1, 2])
    assert decode_tagged(bytes.fromhex("d9018fa10102"), "thing", TAGS) == (399, {1: 2})


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "820102": "it does not begin with tag 18 or 399",
        "d300": "tag 19, which has no place here, at byte 0",
        "d2d200": "tag 18, which has no place here, at byte 1",
        "d9001200": "not in its shortest form",
        "d20000": "1 bytes behind its end",
        "d2": "the end",
    }.items(),
)
def test_a_tag_where_it_may_not_be(text: str, words: str) -> None:
    with pytest.raises(AttestationError, match=words):
        decode_tagged(bytes.fromhex(text), "thing", TAGS)


PLAIN = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=70) | st.text(max_size=30)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-(2**64), 2**64 - 1) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(VALUES)
def test_what_the_library_writes_is_read(value: Any) -> None:
    if depth(value) <= MAX_DEPTH:
        assert decode(cbor2.dumps(value), "thing") == value


@given(st.binary(max_size=60))
def test_each_thing_has_one_encoding(data: bytes) -> None:
    """Whatever is taken is what the library would write of it: nobody can say the same in other bytes."""
    try:
        value = decode(data, "thing")
    except AttestationError:
        return
    assert cbor2.dumps(value) == data


@given(st.data())
def test_a_changed_token_has_one_encoding_or_none(data: st.DataObject) -> None:
    token = bytearray(Vector().realm_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        token[data.draw(st.integers(0, len(token) - 1))] = data.draw(st.integers(0, 255))
    try:
        tag, value = decode_tagged(bytes(token), "thing", TAGS)
    except AttestationError:
        return
    assert cbor2.dumps(cbor2.CBORTag(tag, value)) == bytes(token)
