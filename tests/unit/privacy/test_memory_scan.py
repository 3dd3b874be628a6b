# SPDX-License-Identifier: Apache-2.0
"""The attacks as a whole, on a host that answers as it is told: what they need before they say anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import paramiko
import pytest
from fake_platform import FakeMachine

from orchestrator.errors import OrchError
from orchestrator.privacy import god_view, host, memory_scan, plain_channel, rows
from orchestrator.privacy.answers import Faults, Region, Scan
from orchestrator.privacy.blocks import choose_blocks
from orchestrator.privacy.host import Attacker
from orchestrator.schema.samples import PrivacyRow
from orchestrator.shell.ssh import Finished

DATA = np.random.default_rng(1).integers(0, 256, 4096, np.uint8).tobytes()
COUNT = choose_blocks(DATA, 1).count
FAULTS = Faults(2, 2, 2, 2, 0, 0)
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0)


def region(name: str, found: int) -> dict[str, Any]:
    mask = np.packbits(np.arange((COUNT + 7) // 8 * 8) < found, bitorder="little").tobytes().hex()
    return {"name": name, "pages": 9, "zero": 0, "faulted": 0, "seconds": 1.0, "found": found, "blocks": mask}


class Host:
    """Answers the commands of an attacker; `pages` is what the driver lists, None if that cannot be read."""

    def __init__(self, pages: str | None, *, faults: Faults | None = FAULTS, touched: int = 5) -> None:
        self.pages = pages
        self.faults = faults
        self.touched = touched

    def answer(self, _link: object, command: str, _timeout: float = 0) -> Finished:
        if "/debug/realm/pages" in command:
            return Finished(1, "", "Permission denied") if self.pages is None else Finished(0, self.pages, "")
        if " scan " in command:
            lines: list[dict[str, Any]] = [{"event": "region", **region(name, 0)} for name in ("ram", "vmm", "files")]
            lines += [{"event": "faults", **vars(self.faults)}] if self.faults else []
        elif " touch " in command:
            kind = "delegated" if "delegated" in command else "other"
            faulted = self.touched if kind == "delegated" else 0
            moved = {"moved": 5 - self.touched, "delegated": 2}
            lines = [{"event": "touch", "kind": kind, "attempted": self.touched, "faulted": faulted, **moved}]
        else:
            lines = []
        return Finished(0, "".join(json.dumps(line) + "\n" for line in lines), "")


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the attack on a world of such a host; `god` blocks are in the emulator's view."""

    def run(there: Host, world: str, god: int = COUNT) -> dict[str, PrivacyRow]:
        @contextmanager
        def attacker(_bed: object, limit: float) -> Iterator[Attacker]:
            yield Attacker(SimpleNamespace(), limit)  # type: ignore[arg-type]

        view = Scan({"god": Region(**region("god", god)), "god-listed": Region(**region("god-listed", god))}, None)
        monkeypatch.setattr(memory_scan, "attacker", attacker)
        monkeypatch.setattr(host.ssh, "attempt", there.answer)
        monkeypatch.setattr(host.ssh, "capture", lambda *_: "12")
        monkeypatch.setattr(host.ssh, "put", lambda *_: None)
        monkeypatch.setattr(god_view, "search", lambda *_: view)
        model = tmp_path / "model.tflite"
        model.write_bytes(DATA)
        about = rows.About(world, "m", "int8", output="label")
        bed: Any = None
        found = memory_scan.run_memory_scan(bed, world, model, work=tmp_path / "work", seed=1, about=about)
        return {row.metric: row for row in found}

    return run


def test_a_realm_that_holds(scan: Any) -> None:
    found = scan(Host("40000000\n40001000\n"), "realm")
    assert {row.status for row in found.values()} == {"ok"}
    assert (found["blocks_recovered"].value, found["blocks_recovered"].verdict) == (0, "nothing")
    assert found["fault_set_difference"].value == 0
    assert (found["delegated_faulted"].value, found["god_view_in_delegated"].value) == (1, 1)


@pytest.mark.parametrize(
    ("pages", "words"),
    [(None, "list of delegated pages cannot be read: Permission denied"), ("", "list of delegated pages is empty")],
)
def test_in_a_realm_the_list_of_delegated_pages_decides(scan: Any, pages: str | None, words: str) -> None:
    with pytest.raises(OrchError, match=words):
        scan(Host(pages), "realm")
    normal = scan(Host(pages, faults=NO_FAULTS), "vm")  # where the driver may not even be loaded
    assert not {"delegated_faulted", "fault_set_difference"} & set(normal)


@pytest.mark.parametrize("world", ["realm", "vm"])
def test_the_search_must_say_what_faulted(scan: Any, world: str) -> None:
    with pytest.raises(OrchError, match="did not say which pages faulted"):
        scan(Host("40000000\n", faults=None), world)


@pytest.mark.parametrize("faults", [NO_FAULTS, Faults(5, 5, 0, 0, 0, 0)])
def test_in_a_realm_delegated_pages_must_have_been_compared(scan: Any, faults: Faults) -> None:
    """Of no page, all are equal."""
    with pytest.raises(OrchError, match="compared no delegated page"):
        scan(Host("40000000\n", faults=faults), "realm")


def test_in_a_realm_pages_must_have_been_touched(scan: Any) -> None:
    with pytest.raises(OrchError, match="no page was touched that counts: all of kind 'delegated'"):
        scan(Host("40000000\n", touched=0), "realm")


@pytest.mark.parametrize("world", ["realm", "vm"])
def test_without_its_control_a_search_that_finds_nothing_has_no_verdict(scan: Any, world: str) -> None:
    found = scan(Host("40000000\n"), world, god=COUNT // 2)
    for metric in ("blocks_recovered", "blocks_in_ram", "model_rebuilt"):
        assert (found[metric].status, found[metric].value, found[metric].verdict) == ("failed", None, None)
    assert found["god_view_recovered"].value == pytest.approx(0.5, abs=0.01)


def test_a_search_of_the_emulators_memory_that_hangs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "attack"
    program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o755)
    builder = SimpleNamespace(build=lambda _: None, artifact=lambda _: tmp_path)
    machine = FakeMachine(tmp_path, memory=bytearray())
    bed: Any = SimpleNamespace(graph=SimpleNamespace(node=str), builder=builder, instance=machine, need=lambda _: None)
    monkeypatch.setattr(god_view, "_END", 0.2)
    with pytest.raises(OrchError, match="did not end within"):
        god_view.search(bed, tmp_path / "needles", tmp_path)


@pytest.mark.parametrize("error", [TimeoutError(), paramiko.SSHException("gone"), EOFError()])
def test_a_plain_channel_that_breaks_is_an_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Transport:
        def open_channel(self, *_: object, **__: object) -> None:
            raise error

    there: Any = SimpleNamespace(client=SimpleNamespace(get_transport=Transport))
    monkeypatch.setattr(plain_channel.ssh, "attempt", lambda *_: Finished(1, "", ""))
    with pytest.raises(OrchError, match="plain-channel: sending to the realm"):
        plain_channel._send(b"data", there, there, "realm")
