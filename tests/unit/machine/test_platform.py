# SPDX-License-Identifier: Apache-2.0
"""The protocols: what QEMU makes of them, what is refused, and that no implementation drifts from them."""

from __future__ import annotations

import inspect
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_platform import FakeCounter, FakeMachine, FakePlatform

from orchestrator.errors import OrchError, UsageError
from orchestrator.machine import qemu
from orchestrator.machine.fvp import Fvp
from orchestrator.machine.platform import Capability, Machine, Parts, Platform, need
from orchestrator.machine.qemu import Qemu, QemuMachine
from orchestrator.machine.states import State
from orchestrator.registry import PLATFORMS
from orchestrator.trace.client import CounterClient
from orchestrator.trace.counter import Counter

if TYPE_CHECKING:
    from conftest import FakeQemu

FILE = Path("testbed.yaml")
LIMIT = 20.0


def members(protocol: type) -> dict[str, Any]:
    return {name: value for name, value in vars(protocol).items() if not name.startswith("_")}


@pytest.mark.parametrize(
    ("protocol", "made"),
    [
        (Platform, Qemu()),
        (Platform, Fvp()),
        (Platform, FakePlatform()),
        (Machine, QemuMachine(Path("run"))),
        (Machine, FakeMachine(Path("run"))),
        (Counter, CounterClient("counter")),
        (Counter, FakeCounter()),
    ],
)
def test_implementations_have_all_of_their_protocol(protocol: type, made: object) -> None:
    """The type checker holds the package's own to it; the played ones must not drift from it either."""
    for name, member in members(protocol).items():
        assert hasattr(type(made), name) or name in vars(made), name
        if inspect.isfunction(member):
            wanted = [*inspect.signature(member).parameters.values()][1:]
            found = [*inspect.signature(getattr(made, name)).parameters.values()]
            assert [(each.name, each.kind, each.default) for each in found] == [
                (each.name, each.kind, each.default) for each in wanted
            ], name


def test_names_are_those_of_the_registry() -> None:
    assert {name: PLATFORMS[name].name for name in PLATFORMS} == {"qemu": "qemu", "fvp": "fvp"}
    assert PLATFORMS["qemu"].capabilities == frozenset(Capability)


@pytest.mark.parametrize("capability", Capability)
def test_what_a_platform_cannot_do_is_refused_in_words(capability: Capability) -> None:
    need(Qemu(), capability, FILE)
    with pytest.raises(UsageError, match=r"^testbed\.yaml: machine\.platform: fvp: it") as caught:
        need(Fvp(), capability, FILE)
    assert "docs/machine.md" in (caught.value.hint or "")


def test_given_parts_need_no_artifacts() -> None:
    every = Qemu().nodes([])
    assert every == ["qemu", "qemu-plugin", "firmware", "kernel", "host-image", "rearm"]
    assert Qemu().nodes(["stack.qemu", "stack.rmm"]) == every[1:]
    assert Qemu().nodes(["stack.host_kernel"]) == ["qemu", "qemu-plugin", "firmware", "host-image"]


@pytest.mark.parametrize(
    ("said", "version"),
    [("QEMU emulator version 10.0.13 (Debian 1:10)\nmore", "10.0.13 (Debian 1:10)"), ("mine", "mine"), ("", None)],
)
def test_the_emulator_says_its_version(tmp_path: Path, said: str, version: str | None) -> None:
    program = tmp_path / "bin/qemu-system-aarch64"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n", encoding="utf-8")
    program.chmod(0o755)
    for parts in (Parts({"qemu": tmp_path}), Parts({}, {"stack.qemu": program})):
        if version is None:
            with pytest.raises(OrchError, match="does not say its version"):
                Qemu().version(parts)
        else:
            assert Qemu().version(parts) == version


def test_memory_is_read_where_it_was_asked_for(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    assert machine.read_memory(0x4123_0000, 16) == (0x4123_0000).to_bytes(8, "little") * 2
    assert list(fake.folder.glob("*memory*")) == []


def test_all_of_memory_is_poured_in_order(fake: FakeQemu, tmp_path: Path) -> None:
    """Into a pipe whose other end somebody else holds open, as the search does."""
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    pipe, seen = tmp_path / "pipe", bytearray()
    os.mkfifo(pipe)

    def read() -> None:
        with pipe.open("rb") as stream:
            seen.extend(stream.read())

    reader = threading.Thread(target=read)
    reader.start()
    writer = os.open(pipe, os.O_WRONLY)
    machine.pour_memory(pipe)
    os.close(writer)
    reader.join(LIMIT)
    firsts = [int.from_bytes(seen[at : at + 8], "little") for at in range(0, len(seen), 4096)]
    assert firsts == list(range(0x4000_0000, 0x1_0000_0000, qemu._PIECE))
