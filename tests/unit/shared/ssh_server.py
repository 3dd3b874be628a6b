# SPDX-License-Identifier: Apache-2.0
"""A real SSH server on loopback: it executes commands with this computer's shell, and serves a folder's files by SFTP.

What it does not do as OpenSSH and dropbear do, tests say: `Host` has a method for each.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
import paramiko.sftp_server

from orchestrator.shell.keys import SshKeys, public_line
from orchestrator.shell.link import Server


class Bytes(paramiko.Message):
    """Names are bytes: paramiko's own server breaks off at one that is not UTF-8."""

    def get_text(self) -> str:
        return os.fsdecode(self.get_string())


class File(paramiko.SFTPHandle):
    """An open file, on which `host` may play tricks."""

    def __init__(self, host: Host, descriptor: int) -> None:
        super().__init__()
        self.host, self.descriptor = host, descriptor

    def close(self) -> None:
        os.close(self.descriptor)

    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.descriptor))

    def read(self, offset: int, length: int) -> Any:
        return os.pread(self.descriptor, length, offset)

    def write(self, offset: int, data: bytes) -> int:
        self.host.before_write(offset, data)
        if self.host.room is not None and offset + len(data) > self.host.room:
            return paramiko.SFTP_FAILURE
        try:
            os.pwrite(self.descriptor, data, offset)
        except OSError as error:
            if error.errno != errno.ESPIPE:
                return paramiko.SFTPServer.convert_errno(error.errno)
            os.write(self.descriptor, data)
        return paramiko.SFTP_OK


def answers(act: Callable[..., Any]) -> Callable[..., Any]:
    """An operation on files whose errors become SFTP's."""

    def done(*arguments: Any) -> Any:
        try:
            found = act(*arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK if found is None else found

    return done


class Files(paramiko.SFTPServerInterface):
    """The files of this computer, below the folder of `host` where a path is not absolute."""

    def __init__(self, server: Serving) -> None:
        super().__init__(server)
        self.host = server.host

    def at(self, path: str) -> Path:
        return self.host.home / path

    @answers
    def list_folder(self, path: str) -> Any:
        found = []
        for name in [".", "..", *(child.name for child in self.at(path).iterdir())]:
            each = paramiko.SFTPAttributes.from_stat((self.at(path) / name).lstat())
            each.filename = os.fsencode(name)
            found.append(each)
        return found + self.host.false_names()

    @answers
    def stat(self, path: str) -> Any:
        return paramiko.SFTPAttributes.from_stat(self.at(path).stat())

    lstat = stat

    @answers
    def open(self, path: str, flags: int, attr: Any) -> Any:
        return File(self.host, os.open(self.at(path), flags, 0o644))

    @answers
    def remove(self, path: str) -> Any:
        self.at(path).unlink()

    @answers
    def mkdir(self, path: str, attr: Any) -> Any:
        self.at(path).mkdir()

    @answers
    def chattr(self, path: str, attr: Any) -> Any:
        self.at(path).chmod(attr.st_mode)


class Serving(paramiko.ServerInterface):
    """One connection."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.terminals: set[int] = set()
        self.through: dict[int, socket.socket] = {}

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.host.before_auth()
        known = username == "root" and key == self.host.user_key
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.host.before_channel()
        return paramiko.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        try:
            self.through[chanid] = socket.create_connection(("127.0.0.1", self.host.ways[destination]))
        except (KeyError, OSError):
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, channel: paramiko.Channel, *_: Any) -> bool:
        self.terminals.add(channel.get_id())
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self.host.shells.append(channel.get_id() in self.terminals)
        return self.check_channel_exec_request(channel, b"exec sh")

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.host.before_command()
        self.host.commands.append(command)
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self.host.before_command()
        paramiko.SFTPServer(channel, name, self, sftp_si=Files).start()
        self.host.sessions.append(channel)
        return True

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        pipe = subprocess.PIPE
        if self.host.room is not None:
            command = FULL + command
        process = subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.host.home)
        threads = [
            threading.Thread(target=pump, args=pair, daemon=True)
            for pair in ((process.stdout, channel.sendall), (process.stderr, channel.sendall_stderr))
        ]
        feeder = threading.Thread(target=feed, args=(channel, process), daemon=True)
        for thread in (*threads, feeder):
            thread.start()
        for thread in threads:
            thread.join()
        code = process.wait()
        with suppress(OSError, EOFError):
            channel.send_exit_status(code) if code >= 0 else send_exit_signal(channel, -code)
            channel.close()


def pump(source: Any, sink: Callable[[bytes], None]) -> None:
    while data := os.read(source.fileno(), 32768):
        try:
            sink(data)
        except (OSError, EOFError):
            return


def feed(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        while data := channel.recv(32768):
            process.stdin.write(data)
            process.stdin.flush()
        process.stdin.close()


FULL = b"dd() { echo \"dd: error writing 'standard output': No space left on device\" >&2; return 1; }; "
"""What a shell says of a write to a full disk."""
UNNAMED = frozenset({signal.SIGSYS, signal.SIGBUS})
"""Signals that dropbear does not tell: RFC 4254 has no name for them."""


def send_exit_signal(channel: paramiko.Channel, number: int) -> None:
    """RFC 4254, 6.10; paramiko's server has no call for it."""
    if number in UNNAMED:
        return
    message = paramiko.Message()
    message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(signal.Signals(number).name.removeprefix("SIG"))
    message.add_boolean(False)
    message.add_string("")
    message.add_string("")
    channel.transport._send_user_message(message)


class Host:
    """Where the server is and what it does; `home` is where relative paths begin and commands start.

    No file may become larger than `room` bytes. `ways` are ports of loopback by the (address, port) that leads there
    through this server. `shells` says of each log-in whether it had a terminal.
    """

    def __init__(self, folder: Path, keys: SshKeys | None = None) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.keys = keys or SshKeys(folder / "keys")
        self.keys.ensure()
        self.user_key = paramiko.Ed25519Key.from_private_key_file(str(self.keys.user))
        self.room: int | None = None
        self.window = paramiko.common.DEFAULT_WINDOW_SIZE
        self.commands: list[bytes] = []
        self.shells: list[bool] = []
        self.sessions: list[paramiko.Channel] = []
        self.transports: list[paramiko.Transport] = []
        self.connections = 0
        self.ways: dict[Any, int] = {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.over = threading.Event()

    # What a test replaces; each is called before the server does what its name says.
    def before_auth(self) -> None: ...
    def before_channel(self) -> None: ...
    def before_command(self) -> None: ...
    def before_write(self, offset: int, data: bytes) -> None: ...

    def false_names(self) -> list[Any]:
        """Names in each folder that there are none of."""
        return []

    def silence(self) -> None:
        """No answer while the test lasts."""
        self.over.wait()

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, self.keys.user, public_line(self.keys.host))

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def hang_up(self) -> None:
        """End all connections."""
        for transport in self.transports:
            transport.close()

    def serve(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._greet, args=(accepted,), daemon=True).start()

    def _greet(self, accepted: socket.socket) -> None:
        transport = paramiko.Transport(accepted, default_window_size=self.window)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(self.keys.host)))
        self.transports.append(transport)
        serving = Serving(self)
        try:
            transport.start_server(server=serving)
            while transport.is_active():
                channel = transport.accept(0.2)
                if channel is not None and channel.get_id() in serving.through:
                    join(channel, serving.through[channel.get_id()])
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()


def join(channel: paramiko.Channel, other: socket.socket) -> None:
    """Pass bytes on between a channel and another connection."""

    def there() -> None:
        with suppress(OSError):
            while data := channel.recv(32768):
                other.sendall(data)
        other.close()

    def back() -> None:
        with suppress(OSError, EOFError):
            while data := other.recv(32768):
                channel.sendall(data)
            channel.close()

    for way in (there, back):
        threading.Thread(target=way, daemon=True).start()


@contextmanager
def served(folder: Path, keys: SshKeys | None = None) -> Iterator[Host]:
    """A server that is there in this block; its files are in `folder`."""
    host = Host(folder, keys)
    before = paramiko.sftp_server.Message
    paramiko.sftp_server.Message = Bytes
    threading.Thread(target=host.serve, daemon=True).start()
    try:
        yield host
    finally:
        host.over.set()
        host.close()
        host.hang_up()
        paramiko.sftp_server.Message = before
