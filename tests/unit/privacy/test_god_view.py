# SPDX-License-Identifier: Apache-2.0
"""The emulator's view: a platform's memory goes through the very program that searches it, without an emulator."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_platform import RAM, FakeMachine

from orchestrator.errors import UsageError
from orchestrator.machine.platform import Capability, need
from orchestrator.machine.qemu import Qemu
from orchestrator.privacy import god_view
from orchestrator.privacy.blocks import choose_blocks

PAGE = np.random.default_rng(5).integers(0, 256, 4096, np.uint8).tobytes()
PLACE = RAM.start + 0x7000


@pytest.fixture
def bed(attack: Path, tmp_path: Path) -> Any:
    """A testbed with a machine that has PAGE in its memory, and the needles of it."""
    (tmp_path / "needles").write_bytes(choose_blocks(PAGE, 0).needles)
    machine = FakeMachine(tmp_path)
    machine.memory[PLACE - RAM.start : PLACE - RAM.start + len(PAGE)] = PAGE
    builder = SimpleNamespace(build=lambda _: None, artifact=lambda _: attack.parent)
    graph = SimpleNamespace(node=lambda name: name)
    return SimpleNamespace(graph=graph, builder=builder, instance=machine, need=lambda _: None)


def test_what_is_in_memory_is_found_at_its_address(bed: Any, tmp_path: Path) -> None:
    scan = god_view.search(bed, tmp_path / "needles", tmp_path, [PLACE, PLACE + 4096])
    assert scan.regions["god"].found == choose_blocks(PAGE, 0).count
    assert scan.regions["god-listed"].found == choose_blocks(PAGE, 0).count
    assert scan.regions["god"].pages == len(RAM) // 4096
    assert scan.whole == (PLACE,)
    assert not (tmp_path / "memory").exists()


def test_what_is_not_there_is_not_found(bed: Any, tmp_path: Path) -> None:
    bed.instance.memory = bytearray(len(RAM))
    assert god_view.search(bed, tmp_path / "needles", tmp_path).regions["god"].found == 0


def test_a_platform_without_the_view_is_refused(bed: Any, tmp_path: Path) -> None:
    blind = Qemu(capabilities=frozenset(Capability) - {Capability.MEMORY_VIEW})
    bed.need = lambda capability: need(blind, capability, Path("testbed.yaml"))
    with pytest.raises(UsageError, match=r"testbed\.yaml: machine\.platform: qemu: it does not show the machine's mem"):
        god_view.search(bed, tmp_path / "needles", tmp_path)
