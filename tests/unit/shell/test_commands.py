# SPDX-License-Identifier: Apache-2.0
"""Commands over SSH: how they end comes back, and those that do not end well have their own words."""

from __future__ import annotations

import signal
import time

import pytest
from fabric import Connection
from ssh_server import Host

from orchestrator.errors import BootError, OrchError
from orchestrator.shell import commands, ssh


@pytest.mark.parametrize(
    ("command", "code", "stdout", "last"),
    [
        ("echo out; echo err >&2; exit 3", 3, "out\n", "err"),
        ("kill -KILL $$", 137, "", ""),
        ("echo half; kill -TERM $$", 143, "half\n", "half"),
        ("head -c 300000 /dev/zero | tr '\\0' a; echo done >&2", 0, "a" * 300000, "done"),
        ("printf '\\377'", 0, "�", "�"),
    ],
    ids=["exit code", "killed", "terminated", "long", "no text"],
)
def test_how_a_command_ends_comes_back(link: Connection, command: str, code: int, stdout: str, last: str) -> None:
    done = ssh.attempt(link, command, 10)
    assert (done.code, done.stdout, done.last) == (code, stdout, last)


def test_a_signal_that_the_server_has_no_name_for(link: Connection) -> None:
    assert ssh.attempt(link, f"kill -{signal.SIGSYS.value} $$", 10).code == 128


def test_a_name_that_is_not_utf8_is_passed_on(link: Connection, host: Host) -> None:
    assert ssh.attempt(link, "echo '\udcff' | od -An -tx1", 10).stdout.split() == ["ff", "0a"]


def test_a_command_that_must_succeed(link: Connection) -> None:
    with pytest.raises(OrchError) as refused:
        ssh.capture(link, "echo a; echo b >&2; echo c >&2; exit 3", 10)
    assert type(refused.value) is OrchError
    assert refused.value.message == "'echo a; echo b >&2; echo c >&2; exit 3' ended with exit code 3: c"
    with pytest.raises(OrchError, match=r"^'exit 3' ended with exit code 3: no output$"):
        ssh.capture(link, "exit 3", 10)


def test_a_command_that_is_silent_for_too_long(link: Connection) -> None:
    began = time.monotonic()
    with pytest.raises(BootError, match=r"^'sleep 100' did not end within 0\.3 s$"):
        ssh.attempt(link, "sleep 100; true", 0.3)
    assert time.monotonic() - began < 5
    assert ssh.capture(link, "echo on", 10) == "on\n"


def test_a_server_that_hangs_up_under_a_command(link: Connection, host: Host) -> None:
    host.before_command = host.hang_up  # type: ignore[method-assign]
    with pytest.raises(ssh.LostError, match=r"^127\.0\.0\.1 no longer answers"):
        ssh.attempt(link, "sleep 100", 10)


@pytest.mark.parametrize("stage", ["before_channel", "before_command"])
def test_a_server_that_goes_silent_after_the_log_in(
    link: Connection, host: Host, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "CHANNEL_SECONDS", 0.3)
    setattr(host, stage, host.silence)
    began = time.monotonic()
    with pytest.raises(BootError, match=r"^127\.0\.0\.1 no longer answers: no channel within 0\.3 s$"):
        ssh.attempt(link, "true", 60)
    with pytest.raises(ssh.LostError, match="no longer answers"):
        ssh.execute(link, ["true"])
    assert time.monotonic() - began < 5


def test_a_link_is_closed_when_a_command_on_another_ends(host: Host) -> None:
    with ssh.opened(host.server, 10) as link, ssh.opened(host.server, 10) as other:
        with ssh.closed_after(link, other, ["sleep", "0.2"]) as ended:
            with pytest.raises(ssh.LostError, match="no longer answers"):
                ssh.attempt(link, "sleep 100", 20)
            assert ended()
        assert not link.is_connected


def test_a_link_stays_when_the_block_is_left_before(host: Host) -> None:
    """Its own clean-up must not look like the end of the other side."""
    with ssh.opened(host.server, 10) as link, ssh.opened(host.server, 10) as other:
        for _ in range(10):
            with ssh.closed_after(link, other, ["cat"]) as ended:
                pass
            assert not ended()
        assert link.is_connected


def test_lines_as_they_come(link: Connection) -> None:
    assert list(ssh.follow(link, ["printf", "a\\nb\\n"])) == ["a", "b"]
