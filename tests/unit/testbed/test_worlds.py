# SPDX-License-Identifier: Apache-2.0
"""A guest's connection through its host: what goes wrong in it keeps its own words, and the end of a guest has its."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fabric import Connection
from ssh_server import Host, served

from orchestrator.errors import BootError, OrchError, UsageError, WorkloadError
from orchestrator.schema.testbed import Timeouts
from orchestrator.shell import ssh
from orchestrator.shell.keys import public_line
from orchestrator.testbed import worlds
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.probe import GuestReport, GuestState, Probe
from orchestrator.testbed.worlds import GuestWorld
from orchestrator.words import World

VM = GuestName(World.VM)
RUNNING = GuestReport(GuestState.RUNNING)
PANIC = GuestReport(GuestState.PANIC, "sysrq triggered crash")


class Bed:
    """A host, and a guest `vm` behind it, both real SSH servers; `reports` are what the host says of the guest."""

    def __init__(self, outer: Host, inner: Host) -> None:
        self.outer, self.inner = outer, inner
        self.reports = [RUNNING]
        self.project = SimpleNamespace(config=SimpleNamespace(timeouts=Timeouts(ssh=2)))
        self.guests = SimpleNamespace(
            need_running=lambda *_: None,
            server=self.server,
            record=SimpleNamespace(guest=lambda _: {"memory_mib": 64}),
        )

    def server(self, name: GuestName, gateway: Connection) -> ssh.Server:
        keys = self.inner.keys
        return ssh.Server(name.address, 22, keys.user, public_line(keys.host), gateway, f"SSH of the {name}")

    @contextmanager
    def host(self, timeout: float | None = None) -> Iterator[Connection]:
        with ssh.opened(self.outer.server, timeout or 10) as link:
            yield link

    def ask(self, _: Connection) -> Probe:
        return Probe({VM: self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]}, {})


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    (tmp_path / "outer").mkdir()
    (tmp_path / "inner").mkdir()
    with served(tmp_path / "outer") as outer, served(tmp_path / "inner") as inner:
        made = Bed(outer, inner)
        outer.ways[VM.address, 22] = inner.port
        monkeypatch.setattr(worlds, "ask", made.ask)
        monkeypatch.setattr(worlds, "pages_limit", lambda _: 1.0)
        ends_with(outer, monkeypatch)
        yield made


def ends_with(outer: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest's end is that of the file `alive` in the host's folder; who waits for it may lose interest."""
    (outer.home / "alive").touch()
    script = "exec 3<&0; cat <&3 >/dev/null 2>&1 & while [ -e alive ] && kill -0 $!; do sleep 0.05; done; kill $!"
    monkeypatch.setattr(worlds, "end_command", lambda _: ["sh", "-c", script])


def guest(bed: Any) -> GuestWorld:
    return GuestWorld(bed, VM)


@pytest.mark.parametrize(
    "error",
    [OrchError("no folder"), WorkloadError("it did not start"), UsageError("no such file"), OSError(28, "full")],
)
def test_an_error_in_a_guests_link_stays_what_it_is(bed: Bed, error: Exception) -> None:
    for _ in range(5):
        with pytest.raises(type(error)) as caught, guest(bed).link():
            raise error
        assert caught.value is error


def test_what_the_guest_refuses_has_its_cause(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OrchError, match="no such folder: /nodir") as caught, guest(bed).link() as link:
        ssh.put(link, tmp_path / "file", "/nodir/x")
    assert caught.value.exit_code == 1
    with guest(bed).link() as link:
        assert ssh.attempt(link, "kill -KILL $$", 10).code == 137


def test_a_copy_that_stands_still_is_told_as_that(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bed.inner.before_command = bed.inner.silence  # type: ignore[method-assign]
    with pytest.raises(ssh.StalledError, match=r"^copying stood still for 0\.5 s$"), guest(bed).link() as link:
        ssh.put(link, tmp_path / "file", "x", 0.5)


@pytest.mark.parametrize("how", ["connection first", "guest first"])
def test_a_panic_is_named_when_all_of_the_guest_is_gone(bed: Bed, how: str) -> None:
    """Its network goes before its VMM does, which may take as long as it likes."""
    bed.reports = [RUNNING, RUNNING, RUNNING, PANIC]

    def end() -> None:
        bed.inner.close()
        if how == "connection first":
            bed.inner.hang_up()
            time.sleep(1)
        (bed.outer.home / "alive").unlink()

    bed.inner.before_command = lambda: threading.Thread(target=end, daemon=True).start()  # type: ignore[method-assign]
    with pytest.raises(BootError) as caught, guest(bed).link() as link:
        ssh.attempt(link, "sleep 100", 60)
    assert caught.value.message == "the vm ended: panic: sysrq triggered crash"


def test_a_guest_that_still_answers(bed: Bed) -> None:
    def hang_up() -> None:
        bed.inner.before_command = lambda: None  # type: ignore[method-assign]
        bed.inner.hang_up()

    bed.inner.before_command = hang_up  # type: ignore[method-assign]
    with pytest.raises(BootError) as caught, guest(bed).link() as link:
        ssh.attempt(link, "sleep 100", 60)
    assert caught.value.message == "the connection to the vm ended, but it answers a new one"


def test_a_guest_that_neither_ends_nor_answers(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish() -> None:
        bed.inner.close()
        bed.inner.hang_up()

    monkeypatch.setattr(worlds, "_TRY", 0.5)
    bed.inner.before_command = vanish  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(BootError) as caught, guest(bed).link() as link:
        ssh.attempt(link, "sleep 100", 60)
    assert "the connection to the vm ended; state 'ended' not reached within 2 s: it is running" in caught.value.message
    assert time.monotonic() - began < 20


def test_a_host_that_goes_away_as_well(bed: Bed) -> None:
    def vanish() -> None:
        for each in (bed.inner, bed.outer):
            each.close()
            each.hang_up()

    bed.inner.before_command = vanish  # type: ignore[method-assign]
    with pytest.raises(BootError, match=r"^the connection to the vm ended: "), guest(bed).link() as link:
        ssh.attempt(link, "sleep 100", 60)
