# SPDX-License-Identifier: Apache-2.0
"""The check of a built machine, on one that is played: what makes it fail; a platform without a counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from fake_platform import FakePlatform, tally_of

from orchestrator.errors import BootError
from orchestrator.machine.platform import Capability
from orchestrator.testbed import check
from orchestrator.testbed.guests import Guests

if TYPE_CHECKING:
    from conftest import Up


@pytest.fixture
def lone(make: Callable[..., Up], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Up]:
    """Testbeds that have no guests and whose hosts have all that is looked for."""
    monkeypatch.setattr(Guests, "possible", lambda _: [])
    monkeypatch.setattr(check, "capture", lambda *_: "yes")
    return make


def test_every_world_must_have_executed_something(lone: Callable[..., Up]) -> None:
    up = lone()
    up.machine.counted.tally = tally_of(non_secure_el2=5, root_el3=7)
    with pytest.raises(BootError, match="no instruction was executed in the realm world"):
        check.check_machine(up.bed)
    assert up.bed.running() is None
    up.machine.counted.tally = tally_of(non_secure_el2=5, root_el3=7, realm_el2=1234)
    assert "ok: the realm world executed 1,234 instructions" in check.check_machine(up.bed)
    assert check.check_machine(up.bed) == ["checked before: nothing changed since"]


def test_a_host_that_lacks_something_is_named(lone: Callable[..., Up], monkeypatch: pytest.MonkeyPatch) -> None:
    up = lone()
    monkeypatch.setattr(check, "capture", lambda _, command: "" if "kvm" in command else "yes")
    with pytest.raises(BootError, match="boot check failed: KVM is there"):
        check.check_machine(up.bed)
    assert up.bed.running() is None


def test_where_nothing_counts_nothing_is_asked_of_a_counter(lone: Callable[..., Up]) -> None:
    up = lone(FakePlatform(capabilities=frozenset({Capability.RUN})))
    lines = check.check_machine(up.bed)
    assert lines[-1].startswith("ok: ")
    assert not any("instructions" in line for line in lines)
    assert up.machine.blueprint is not None
    assert up.machine.blueprint.count is None
