# SPDX-License-Identifier: Apache-2.0
"""CBOR as tokens must have it: one item in its one shortest form (RFC 8949, 4.2.1, without the order of keys).

A library decodes; what it lets through is refused before by a walk over the bytes. Two encodings of one claim, or two
readings of one encoding, are how what was signed and what is believed drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cbor2

from orchestrator.errors import AttestationError

MAX_BYTES = 1 << 16
"""Of a token and of all in it; the longest that the RMM specification's structures allow is far below."""
MAX_DEPTH = 8
"""Of arrays, maps and tags in each other; tokens have five."""

_SHORT, _RESERVED, _INDEFINITE = 24, 28, 31  # additional information (RFC 8949, 3)
_SIMPLE = frozenset({20, 21, 22})  # false, true, null


class _Major(IntEnum):
    """Major types (RFC 8949, 3.1)."""

    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7


_KEYS = frozenset({_Major.UNSIGNED, _Major.NEGATIVE, _Major.TEXT})


def decode(data: bytes, what: str) -> Any:
    """The one item that `data` is, without tags; `what` stands for it in messages. Raises AttestationError.

    A library makes other things than numbers and strings of some tags: a date, an expression, what stands elsewhere.
    """
    _walk(data, what, frozenset())
    return _loads(data, what)


def decode_tagged(data: bytes, what: str, tags: frozenset[int]) -> tuple[int, Any]:
    """The item that `data` is, and which of these tags it has; inside of it there are none. Raises AttestationError."""
    walk = _walk(data, what, tags)
    if walk.tag is None:
        raise AttestationError(f"{what}: it does not begin with tag {' or '.join(str(each) for each in sorted(tags))}")
    # The library would hand out an item under a tag in types of its own: it is given what stands behind it.
    return walk.tag, _loads(data[walk.head :], what)


def _walk(data: bytes, what: str, tags: frozenset[int]) -> _Walk:
    if len(data) > MAX_BYTES:
        raise AttestationError(f"{what}: {len(data)} bytes are more than the {MAX_BYTES} that a token may have")
    walk = _Walk(data, what, tags)
    walk.item(0)
    if walk.at != len(data):
        raise walk.refused(f"{len(data) - walk.at} bytes behind its end")
    return walk


def _loads(data: bytes, what: str) -> Any:
    try:
        return cbor2.loads(data, max_depth=MAX_DEPTH + 1, allow_indefinite=False, allow_duplicate_keys=False)
    except Exception as error:  # whatever the library raises for bytes, it is the bytes' fault
        raise AttestationError(f"{what}: not valid CBOR: {error}") from None


@dataclass
class _Walk:
    """Steps over items without making anything of them; `at` is the offset of the next one.

    `tag` is that of the outermost item, if it has one, and `head` the bytes that it takes.
    """

    data: bytes
    what: str
    tags: frozenset[int]
    at: int = 0
    tag: int | None = None
    head: int = 0

    def refused(self, words: str, at: int | None = None) -> AttestationError:
        """The error for what is wrong at an offset, here if none is given."""
        return AttestationError(f"{self.what}: {words}, at byte {self.at if at is None else at}")

    def item(self, depth: int) -> _Major:
        """One item, and all in it."""
        begin = self.at
        major, argument = self._head()
        if depth > MAX_DEPTH:
            raise self.refused(f"more than {MAX_DEPTH} levels", begin)
        if major in (_Major.BYTES, _Major.TEXT):
            self._string(begin, argument, text=major is _Major.TEXT)
        elif major is _Major.ARRAY:
            for _ in range(argument):
                self.item(depth + 1)
        elif major is _Major.MAP:
            self._map(argument, depth)
        elif major is _Major.TAG:
            if depth or argument not in self.tags:
                raise self.refused(f"tag {argument}, which has no place here", begin)
            self.tag, self.head = argument, self.at
            self.item(depth + 1)
        elif major is _Major.SIMPLE and argument not in _SIMPLE:
            raise self.refused("a value that is no number, string, true, false or null", begin)
        return major

    def _head(self) -> tuple[_Major, int]:
        """Major type and argument: a value, a length or a tag's number."""
        begin = self.at
        first = self._take(1, begin)[0]
        major, info = _Major(first >> 5), first & 0x1F
        if info < _SHORT:
            return major, info
        if info >= _RESERVED:
            words = "indefinite length" if info == _INDEFINITE else "a reserved head"
            raise self.refused(words, begin)
        if major is _Major.SIMPLE:
            raise self.refused("a number with a point, or an unassigned value", begin)
        size = 1 << info - _SHORT
        argument = int.from_bytes(self._take(size, begin), "big")
        if argument < (_SHORT if size == 1 else 1 << 4 * size):
            raise self.refused("a number or length that is not in its shortest form", begin)
        return major, argument

    def _take(self, count: int, begin: int) -> bytes:
        if count > len(self.data) - self.at:
            raise self.refused(f"the end, inside what begins at byte {begin}", len(self.data))
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def _string(self, begin: int, count: int, *, text: bool) -> None:
        content = self._take(count, begin)
        if text:
            try:
                content.decode("utf-8")
            except UnicodeDecodeError:
                raise self.refused("text that is not UTF-8", begin) from None

    def _map(self, pairs: int, depth: int) -> None:
        """Keys are in their shortest form, so that equal ones have equal bytes."""
        seen: set[bytes] = set()
        for _ in range(pairs):
            here = self.at
            if self.item(depth + 1) not in _KEYS:
                raise self.refused("a key that is neither a number nor text", here)
            key = self.data[here : self.at]
            if key in seen:
                raise self.refused("a key that is there twice", here)
            seen.add(key)
            self.item(depth + 1)
