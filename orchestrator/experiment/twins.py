# SPDX-License-Identifier: Apache-2.0
"""Whether realm and normal VM see the same machine: what each sees is in the journal, so that a resumed run knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkloadError
from orchestrator.runs.events import Fingerprint
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runs.matrix import Boot, Session
    from orchestrator.runs.shard import Shard

_TWINS = {World.VM: World.REALM, World.REALM: World.VM}


def note(shard: Shard, boot: Boot, session: Session, seen: Mapping[str, str]) -> None:
    """Write down what the guest of a session sees, for the steps that are measured in it."""
    steps = [step.key for step in session.steps]
    shard.log.add("fingerprint", **_place(boot, session), world=session.world, steps=steps, seen=dict(seen))


def difference(
    shard: Shard, boot: Boot, session: Session, seen: Mapping[str, str]
) -> tuple[WorkloadError, frozenset[str]] | None:
    """What a session's guest sees otherwise than its twin, and the twin's finished steps, which are worth nothing then.

    The twin is the guest of the same kind in the same boot of the plan, be it that an earlier invocation measured it.
    """
    twin, done = _TWINS[session.world], shard.done()
    place = _place(boot, session) | {"world": twin}
    known = [
        each
        for each in shard.log.of(Fingerprint)
        if all(getattr(each, key) == value for key, value in place.items()) and not done.isdisjoint(each.steps)
    ]
    if not known or known[-1].seen == seen:
        return None
    both = {session.world: seen, twin: known[-1].seen}
    vm, realm = both[World.VM], both[World.REALM]
    key = min(key for key in vm.keys() | realm.keys() if vm.get(key) != realm.get(key))
    error = WorkloadError(f"the twins differ: {key} is '{vm.get(key)}' in the vm, '{realm.get(key)}' in the realm")
    return error, done & {step for each in known for step in each.steps}


def _place(boot: Boot, session: Session) -> dict[str, Any]:
    return {"boot": boot.number, "machine": boot.machine.label, "guest": session.guest.label}
