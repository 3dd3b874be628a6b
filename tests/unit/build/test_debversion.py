# SPDX-License-Identifier: Apache-2.0
"""Debian version order; the samples were checked against dpkg --compare-versions."""

from __future__ import annotations

import pytest

from orchestrator.build.debversion import DebianVersion, acceptable, newest
from orchestrator.schema.packages import PackageSpec

ASCENDING = ["0", "1.0~rc1", "1.0", "1.0-1~bpo13+1", "1.0-1", "1.0-1+b1", "1.0a", "1.0+ds-1", "1.0.1", "1.9", "1.10"]


def test_order() -> None:
    ordered = [*ASCENDING, "6.9", "6.13", "1:0.5"]
    shuffled = ordered[::-1]
    assert sorted(shuffled, key=DebianVersion) == ordered
    assert newest(ordered) == "1:0.5"
    assert newest([]) is None


@pytest.mark.parametrize(("left", "right"), [("1.0", "1.0-0"), ("0:1.0", "1.0"), ("1.01", "1.1")])
def test_equal(left: str, right: str) -> None:
    assert DebianVersion(left) == DebianVersion(right)


def test_limits() -> None:
    spec = PackageSpec.model_validate(
        {
            "kind": "packages",
            "suite": "trixie",
            "packages": ["qemu"],
            "series": {"prefix": "10.0."},
            "minimum": "10.0.9",
        }
    )
    versions = ["1:10.0.2-1", "1:10.0.9-1", "1:10.0.13+ds-0", "1:10.1.0", "1:100.0.1", "1:11.0.0"]
    assert [v for v in versions if acceptable(v, spec)] == ["1:10.0.9-1", "1:10.0.13+ds-0"]
