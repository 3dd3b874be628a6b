# SPDX-License-Identifier: Apache-2.0
"""A copy to a world that stands still is told by the limit that ended it, and not as a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.experiment.stage import Stage
from orchestrator.protect.deployable import Deployable, Opening, Sought
from orchestrator.shell import ssh
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.worlds import GuestWorld
from orchestrator.words import World


def test_copying_has_the_limit_of_the_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    link = SimpleNamespace(is_connected=True, close=lambda: None)

    @contextmanager
    def host(_timeout: float | None = None) -> Iterator[object]:
        yield object()

    def put(_link: object, _source: object, _target: str, still: float) -> None:
        link.is_connected = False
        raise ssh.StalledError(f"copying stood still for {still:g} s")

    monkeypatch.setattr(ssh, "connect", lambda *_: link)
    monkeypatch.setattr(ssh, "closed_after", lambda *_: nullcontext())
    monkeypatch.setattr(ssh, "capture", lambda *_: "")
    monkeypatch.setattr(ssh, "put", put)
    guests = SimpleNamespace(need_running=lambda *_: None, server=lambda *_: None)
    project = SimpleNamespace(config=SimpleNamespace(timeouts=SimpleNamespace(ssh=1.0)))
    bed: Any = SimpleNamespace(host=host, guests=guests, project=project)
    bed.world = lambda _: GuestWorld(bed, GuestName(World.VM))
    stage = Stage(bed, SimpleNamespace(), deploy_seconds=7, run_seconds=1)  # type: ignore[arg-type]
    plain = Deployable({"model.tflite": Path("m")}, Opening("model.tflite"), (Sought("model", Path("m"), ""),))
    with pytest.raises(ssh.StalledError) as caught:
        stage.deploy_model(World.VM, plain, Path("i"))
    assert caught.value.message == "model.tflite to the vm: copying stood still for 7 s (`timeouts.deploy`)"
