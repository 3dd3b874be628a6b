# SPDX-License-Identifier: Apache-2.0
"""Order of Debian version numbers (Debian policy 5.6.12), and the limits that a request puts on them."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.schema.packages import PackageSpec

_CHUNK = re.compile(r"([^0-9]*)([0-9]*)")


@total_ordering
class DebianVersion:
    """A version that compares as dpkg compares it."""

    def __init__(self, text: str) -> None:
        self.text = text
        epoch, colon, rest = text.partition(":")
        self.epoch, rest = (int(epoch), rest) if colon else (0, text)
        self.upstream, dash, revision = rest.rpartition("-")
        if not dash:
            self.upstream, revision = rest, ""
        self.revision = revision

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self._compare(other) == 0

    def __lt__(self, other: DebianVersion) -> bool:
        return self._compare(other) < 0

    def __hash__(self) -> int:
        return hash(self.epoch)

    def _compare(self, other: DebianVersion) -> int:
        if self.epoch != other.epoch:
            return self.epoch - other.epoch
        return _compare_part(self.upstream, other.upstream) or _compare_part(self.revision, other.revision)


def without_epoch(version: str) -> str:
    """The version as it stands in file names."""
    return version.partition(":")[2] or version


def acceptable(version: str, spec: PackageSpec) -> bool:
    """Whether `version` of the leading package stays within the request's series and minimum."""
    bare = without_epoch(version)
    if spec.series and not bare.startswith(spec.series.prefix):
        return False
    return spec.minimum is None or not DebianVersion(bare) < DebianVersion(spec.minimum)


def newest(versions: Iterable[str]) -> str | None:
    """The highest version, or None where there is none."""
    return max(versions, key=DebianVersion, default=None)


def _rank(char: str) -> int:
    """Tilde sorts before the end of the text, letters before everything else."""
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256


def _compare_words(left: str, right: str) -> int:
    for index in range(max(len(left), len(right))):
        ranks = [_rank(text[index]) if index < len(text) else 0 for text in (left, right)]
        if ranks[0] != ranks[1]:
            return ranks[0] - ranks[1]
    return 0


def _compare_part(left: str, right: str) -> int:
    """Compare alternately a run of non-digits and a number, as policy describes."""
    while left or right:
        chunks = [_CHUNK.match(text) for text in (left, right)]
        (word_l, number_l), (word_r, number_r) = (chunk.groups() if chunk else ("", "") for chunk in chunks)
        verdict = _compare_words(word_l, word_r) or int(number_l or 0) - int(number_r or 0)
        if verdict:
            return verdict
        left, right = left[len(word_l) + len(number_l) :], right[len(word_r) + len(number_r) :]
    return 0
