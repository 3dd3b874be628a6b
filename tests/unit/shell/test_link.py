# SPDX-License-Identifier: Apache-2.0
"""Connections: the user's own settings have no part, limits hold, and what cannot get better is told at once."""

from __future__ import annotations

import getpass
import socket
import threading
import time
from pathlib import Path

import paramiko
import pytest
from ssh_server import Host

from orchestrator.errors import BootError, EnvError
from orchestrator.shell import ssh
from orchestrator.shell.keys import SshKeys, public_line

SETTINGS = {
    "a jump host": (".ssh/config", "Host *\n  ProxyJump nobody@192.0.2.1\n"),
    "a proxy": (".ssh/config", "Host *\n  ProxyCommand false\n"),
    "another address": (".ssh/config", "Host 127.0.0.1\n  HostName 192.0.2.1\n  Port 1\n  User nobody\n"),
    "a time-out": (".ssh/config", "Host *\n  ConnectTimeout soon\n"),
    "a broken file": (".ssh/config", "Match nonsense\nHost\n"),
    "another identity": (".ssh/config", "Host *\n  IdentityFile /nowhere\n"),
    "settings of commands": (".fabric.yaml", "run:\n  echo: true\n  shell: /nowhere\n  env: {PATH: /nowhere}\n"),
    "settings of connections": (".fabric.yaml", "gateway: false\nconnect_kwargs: {password: x}\nuser: nobody\n"),
    "settings that are none": (".fabric.yaml", "][\n"),
    "a program": (".fabric.py", "raise SystemExit(3)\n"),
    "settings of invoke": (".invoke.yaml", "run: {dry: true}\n"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_users_own_settings_have_no_part(
    name: str, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text = SETTINGS[name]
    (tmp_path / "home" / path).parent.mkdir(parents=True)
    (tmp_path / "home" / path).write_text(text, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FABRIC_RUN_DRY", "1")
    with ssh.opened(host.server, 5) as link:
        assert ssh.capture(link, "echo here", 5) == "here\n"
        assert link.run("echo here", hide=True, in_stream=False).stdout == "here\n"


def test_a_user_without_a_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 raises OSError where 3.11 has a KeyError."""

    def nobody() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.delenv("HOME", raising=False)
    with ssh.opened(host.server, 5) as link:
        assert ssh.capture(link, "echo here", 5) == "here\n"


# --- limits -----------------------------------------------------------------------------------------------------------


def silent_port() -> socket.socket:
    """Takes connections and says nothing, as a paused machine's forwarded port does."""
    return socket.create_server(("127.0.0.1", 0), backlog=16)


@pytest.mark.parametrize("limit", [0.2, 0.9, 1.4])
def test_a_server_without_a_word(host: Host, limit: float) -> None:
    """A limit that fabric cuts to whole seconds would be 0, which it takes for none."""
    with silent_port() as port:
        server = ssh.Server("127.0.0.1", port.getsockname()[1], host.keys.user, public_line(host.keys.host))
        began = time.monotonic()
        with pytest.raises(BootError, match=rf"^state 'ssh': SSH on .* did not answer within {limit:g} s: ") as caught:
            ssh.connect(server, limit)
        assert limit <= time.monotonic() - began < limit + 1
    assert type(caught.value) is BootError


def test_a_server_that_goes_silent_in_the_log_in(host: Host) -> None:
    """paramiko calls it a failed authentication; the key was not refused."""
    host.before_auth = host.silence  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(BootError, match=r"^state 'ssh': .* did not answer within 0\.7 s: it is silent$"):
        ssh.connect(host.server, 0.7)
    assert time.monotonic() - began < 3


def test_a_server_that_hangs_up_in_the_log_in_is_tried_again(host: Host) -> None:
    def once() -> None:
        if host.connections < 3:
            host.hang_up()

    host.before_auth = once  # type: ignore[method-assign]
    with ssh.opened(host.server, 10) as link:
        assert ssh.capture(link, "echo here", 5) == "here\n"
    assert host.connections == 3


def test_a_server_that_comes_later_is_waited_for(host: Host) -> None:
    host.close()
    host.listener = socket.socket()
    host.listener.bind(("127.0.0.1", 0))  # refuses until it listens
    host.port = host.listener.getsockname()[1]

    def come() -> None:
        host.listener.listen()
        host.serve()

    timer = threading.Timer(0.4, come)
    timer.daemon = True
    timer.start()
    with ssh.opened(host.server, 20) as link:
        assert ssh.capture(link, "echo here", 5) == "here\n"


def test_no_thread_of_a_failed_attempt_stays(host: Host) -> None:
    before = threading.active_count()
    with silent_port() as port, pytest.raises(BootError):
        ssh.connect(ssh.Server("127.0.0.1", port.getsockname()[1], host.keys.user, public_line(host.keys.host)), 0.5)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


# --- what does not get better -----------------------------------------------------------------------------------------


def at_once(server: ssh.Server) -> BootError | EnvError:
    began = time.monotonic()
    with pytest.raises((BootError, EnvError)) as caught:
        ssh.connect(server, 30)
    assert time.monotonic() - began < 5
    return caught.value


def test_another_host_key(host: Host, tmp_path: Path) -> None:
    other = SshKeys(tmp_path / "other")
    other.ensure()
    error = at_once(ssh.Server("127.0.0.1", host.port, host.keys.user, public_line(other.host)))
    assert "does not own the host key that is pinned" in error.message


def test_a_user_key_that_is_refused(host: Host, tmp_path: Path) -> None:
    other = SshKeys(tmp_path / "other")
    other.ensure()
    error = at_once(ssh.Server("127.0.0.1", host.port, other.user, public_line(host.keys.host)))
    assert "refused this testbed's user key" in error.message


@pytest.mark.parametrize(("content", "cause"), [(None, "No such file or directory"), ("nonsense", "")])
def test_a_user_key_that_cannot_be_read(host: Host, tmp_path: Path, content: str | None, cause: str) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    error = at_once(ssh.Server("127.0.0.1", host.port, tmp_path / "key", public_line(host.keys.host)))
    assert isinstance(error, EnvError)
    assert f"{tmp_path}/key: this testbed's user key cannot be read: {cause}" in error.message


def test_a_gateway_that_is_gone(host: Host) -> None:
    with ssh.opened(host.server, 10) as gateway:
        host.hang_up()
        deadline = time.monotonic() + 5
        while gateway.is_connected and time.monotonic() < deadline:
            time.sleep(0.02)
        error = at_once(ssh.Server("10.79.9.2", 22, host.keys.user, public_line(host.keys.host), gateway))
    assert isinstance(error, ssh.LostError)
    assert error.message == "127.0.0.1 no longer answers"


def test_an_address_that_is_none(host: Host) -> None:
    assert (
        "cannot be reached" in at_once(ssh.Server("256.1.1.1", 22, host.keys.user, public_line(host.keys.host))).message
    )


def test_through_a_gateway(host: Host, tmp_path: Path) -> None:
    host.ways["10.79.9.2", 22] = host.port
    with ssh.opened(host.server, 10) as gateway:
        server = ssh.Server("10.79.9.2", 22, host.keys.user, public_line(host.keys.host), gateway, "SSH of the vm")
        with ssh.opened(server, 10) as link:
            assert ssh.capture(link, "echo here", 5) == "here\n"
        refused = ssh.Server("10.79.9.3", 22, host.keys.user, public_line(host.keys.host), gateway, "SSH of the vm2")
        with pytest.raises(BootError, match=r"^state 'ssh': SSH of the vm2 on .*:22 did not answer within 0\.3 s"):
            ssh.connect(refused, 0.3)


def test_what_paramiko_calls_an_exit_signal_is_still_no_word_of_its_own() -> None:
    """If it learns to tell signals, ours need not."""
    assert "exit-signal" not in Path(paramiko.channel.__file__).read_text(encoding="utf-8")
