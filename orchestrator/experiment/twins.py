# SPDX-License-Identifier: Apache-2.0
"""Whether realm and normal VM see the same machine: what each sees is in the journal, so that a resumed run knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runs.journal import Journal
    from orchestrator.runs.matrix import Boot, Session

_TWINS = {"vm": "realm", "realm": "vm"}
_EVENT = "fingerprint"


def note(journal: Journal, boot: Boot, session: Session, seen: Mapping[str, str]) -> None:
    """Write down what the guest of a session sees, for the steps that are measured in it."""
    steps = [step.key for step in session.steps]
    journal.event(_EVENT, **_place(boot, session), world=session.world, steps=steps, seen=dict(seen))


def difference(
    journal: Journal, boot: Boot, session: Session, seen: Mapping[str, str]
) -> tuple[WorkloadError, frozenset[str]] | None:
    """What a session's guest sees otherwise than its twin, and the twin's finished steps, which are worth nothing then.

    The twin is the guest of the same kind in the same boot of the plan, be it that an earlier invocation measured it.
    """
    twin, done = _TWINS[session.world], journal.done()
    place = _place(boot, session) | {"world": twin}
    known = [
        each
        for each in journal.events()
        if each["event"] == _EVENT
        and all(each[key] == value for key, value in place.items())
        and not done.isdisjoint(each["steps"])
    ]
    if not known or known[-1]["seen"] == seen:
        return None
    both = {session.world: seen, twin: known[-1]["seen"]}
    vm, realm = both["vm"], both["realm"]
    key = min(key for key in vm.keys() | realm.keys() if vm.get(key) != realm.get(key))
    error = WorkloadError(f"the twins differ: {key} is '{vm.get(key)}' in the vm, '{realm.get(key)}' in the realm")
    return error, done & {step for each in known for step in each["steps"]}


def _place(boot: Boot, session: Session) -> dict[str, Any]:
    return {"boot": boot.number, "machine": boot.machine.label, "guest": session.guest.label}
