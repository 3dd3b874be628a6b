# SPDX-License-Identifier: Apache-2.0
"""Commands over SSH that do not end well: each has its own words."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from invoke.exceptions import CommandTimedOut
from invoke.runners import Result

from orchestrator.errors import BootError, OrchError
from orchestrator.shell import ssh
from orchestrator.shell.keys import SshKeys, public_line


class Link:
    """A connection whose every command ends in the same way."""

    host = "host"

    def __init__(self, ending: Result | Exception) -> None:
        self._ending = ending

    def run(self, *_: Any, **__: Any) -> Result:
        """As fabric's."""
        if isinstance(self._ending, Exception):
            raise self._ending
        return self._ending


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        (CommandTimedOut(Result(), timeout=30), BootError, "'true' did not end within 30 s"),
        (EOFError(), BootError, "host no longer answers: EOFError"),
        (Result(exited=-1), BootError, "host no longer answers"),
        (Result(exited=3, stdout="a\n", stderr="b\nc\n"), OrchError, "'true' ended with exit code 3: c"),
        (Result(exited=3), OrchError, "'true' ended with exit code 3: no output"),
    ],
    ids=["silent", "gone", "ended under it", "refused", "refused without a word"],
)
def test_a_command_that_must_succeed(ending: Any, kind: type[OrchError], words: str) -> None:
    with pytest.raises(kind) as caught:
        ssh.capture(Link(ending), "true", 30)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert caught.value.message == words


class Mute(paramiko.ServerInterface):
    """Lets anybody in and answers no request for a channel, as a guest does that is killed just then."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Anybody."""
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """No answer while the test lasts."""
        self.over.wait()
        return paramiko.OPEN_FAILED_CONNECT_FAILED


class MuteChannel(Mute):
    """Opens channels, and does not answer what is asked for in them."""

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Whatever it is."""
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        """No answer while the test lasts."""
        self.over.wait()
        return False


class MuteFiles(MuteChannel):
    """Takes files that are copied to it, but for what is in them."""

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        """SFTP."""
        paramiko.SFTPServer(channel, name, self, sftp_si=_Files, over=self.over).start()
        return True


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: Mute, over: threading.Event) -> None:
        super().__init__(server)
        self._over = over

    def open(self, path: str, flags: int, attr: object) -> _File:
        return _File(self._over)


class _File(paramiko.SFTPHandle):
    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self._over = over

    def write(self, offset: int, data: bytes) -> int:
        self._over.wait()
        return paramiko.SFTP_FAILURE


@pytest.fixture
def mute(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ssh.Server]:
    """An SSH server on loopback that goes silent after the log-in, or as late as its parameter does."""
    keys = SshKeys(tmp_path / "keys")
    keys.ensure()
    interface = getattr(request, "param", Mute)()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(keys.host)))
            transport.start_server(server=interface)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        yield ssh.Server("127.0.0.1", port, keys.user, public_line(keys.host), None, "a mute server")
        interface.over.set()


def test_a_server_that_goes_silent_after_the_log_in(mute: ssh.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_CHANNEL_SECONDS", 0.2)
    link = ssh.connection(mute, 1.0)
    link.open()
    with pytest.raises(BootError, match="no longer answers: Timeout opening channel"):
        ssh.capture(link, "true", 1)
    link.close()


@pytest.mark.parametrize("mute", [Mute, MuteChannel, MuteFiles], indirect=True)
def test_a_copy_that_stands_still_has_an_end(mute: ssh.Server, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(4 << 20))
    link = ssh.connection(mute, 10.0)
    link.open()
    began = time.monotonic()
    with pytest.raises(ssh.StalledError, match=r"^copying stood still for 0\.5 s$"):
        ssh.put(link, tmp_path / "large", "/large", 0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert not link.is_connected
    link.close()
