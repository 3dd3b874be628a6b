# SPDX-License-Identifier: Apache-2.0
"""A connection to one world: run commands, copy files, open a shell. The server must own the key we gave it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import posixpath
import select
import shlex
import signal
import stat
import termios
import threading
import time
import tty
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from fabric import Connection
from invoke.exceptions import CommandTimedOut, ThreadException, UnexpectedExit

from orchestrator.errors import BootError, OrchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors reach us as exceptions

# What the libraries raise when a connection ends in the middle of something.
LOST = (OSError, EOFError, paramiko.SSHException)
_CHANNEL_SECONDS = 60.0  # for a command's channel to be opened; paramiko would wait an hour for a server that is gone
_STILL_SECONDS = 300.0  # that a copy may stand still
_CHUNK = 32768
_DEPTH = 64  # of folders that are copied: a machine could nest them without end, and a link lead back into its folder
_SSH_PORT = 22
_RETRY = 0.02  # s between attempts while the server is not listening yet


@dataclass(frozen=True)
class Server:
    """An SSH server: where it is, who logs in, the key it must own; reached directly or through `gateway`."""

    address: str
    port: int
    user_key: Path
    host_key: str  # "ssh-ed25519 BASE64"
    gateway: Connection | None = None
    label: str = "SSH"

    def __str__(self) -> str:
        return f"{self.label} on {self.address}:{self.port}"


def fingerprint(host_key: str) -> str:
    """SHA256:… of a public key line, as OpenSSH prints it."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def connection(server: Server, timeout: float = 10.0) -> Connection:
    """An unopened fabric connection; unknown host keys are refused. `timeout` in seconds.

    The way through a gateway is opened here: fabric would wait an hour for it.
    """
    way = {}
    if server.gateway is not None:
        transport = server.gateway.client.get_transport()
        target = (server.address, server.port)
        way["sock"] = transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=timeout)
    made = Connection(
        server.address,
        user="root",
        port=server.port,
        connect_timeout=timeout,
        connect_kwargs={
            "pkey": paramiko.Ed25519Key.from_private_key_file(str(server.user_key)),
            "look_for_keys": False,
            "allow_agent": False,
            "banner_timeout": timeout,
            "channel_timeout": max(timeout, _CHANNEL_SECONDS),
            **way,
        },
    )
    host_key = paramiko.Ed25519Key(data=base64.b64decode(server.host_key.split()[1]))
    made.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    known_as = server.address if server.port == _SSH_PORT else f"[{server.address}]:{server.port}"
    made.client.get_host_keys().add(known_as, "ssh-ed25519", host_key)
    return made


@contextmanager
def opened(server: Server, timeout: float) -> Iterator[Connection]:
    """An open connection; raises BootError naming the cause when none came up within `timeout` seconds."""
    link = connect(server, timeout)
    try:
        yield link
    finally:
        link.close()


def connect(server: Server, timeout: float) -> Connection:
    """Open a connection, trying again while the server does not answer; `timeout` in seconds in all."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            link = connection(server, max(0.5, deadline - time.monotonic()))
            link.open()
        except paramiko.BadHostKeyException:
            raise BootError(
                f"{server}: the server does not own the host key that is pinned for it",
                hint="another program answers there; `orch down`, then `orch up`",
            ) from None
        except paramiko.AuthenticationException:
            raise BootError(f"{server}: the server refused this testbed's user key") from None
        except LOST as error:
            if time.monotonic() >= deadline:
                cause = str(error) or type(error).__name__
                raise BootError(f"state 'ssh': {server} did not answer within {timeout:g} s: {cause}") from None
            time.sleep(_RETRY)
        else:
            return link


@contextmanager
def closed_after(link: Connection, other: Connection, argv: Sequence[str]) -> Iterator[None]:
    """Close `link` as soon as a command on `other` ends; leaving the block ends that command's standard input."""
    try:
        channel = other.client.get_transport().open_session()
        channel.exec_command(shlex.join(argv))
    except LOST as error:
        raise BootError(f"{other.host} no longer answers: {str(error) or type(error).__name__}") from None

    def watch() -> None:
        channel.recv_exit_status()
        link.close()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        channel.close()  # which also ends the wait for its exit status
        watcher.join()


class StalledError(BootError):
    """A copy stood still for too long; its connection is closed."""


@contextmanager
def _copying(link: Connection, limit: float) -> Iterator[Callable[..., None]]:
    """Copy in this block: a connection that ends, or on which nothing moves for `limit` seconds, is told in our words.

    What is yielded says that something moved. The libraries have no limit of their own: for a subsystem they wait for
    ever, and a file that is given up waits for the answers to what it has sent.
    """
    moved = threading.Event()
    over = stalled = False

    def watch() -> None:
        nonlocal stalled
        while moved.wait(limit):
            moved.clear()
            if over:
                return
        stalled = True
        link.close()

    def say(*_: object) -> None:
        moved.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield say
    except (OrchError, AttributeError, *LOST) as error:  # AttributeError: of a connection that was closed meanwhile
        if stalled:
            raise StalledError(f"copying stood still for {limit:g} s") from None
        if isinstance(error, (EOFError, paramiko.SSHException)):
            raise BootError(f"{link.host} no longer answers: {str(error) or type(error).__name__}") from None
        raise
    finally:
        over = True
        moved.set()
        watcher.join()


def capture(link: Connection, command: str, timeout: float = 60.0) -> str:
    """Run a command that must succeed; returns its standard output. `timeout` in seconds."""
    done = attempt(link, command, timeout)
    if done.code != 0:
        raise OrchError(f"'{command}' ended with exit code {done.code}: {done.last or 'no output'}")
    return done.stdout


@dataclass(frozen=True)
class Finished:
    """How a command on the machine ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def last(self) -> str:
        """The last line that it said, on stderr if there is one; nothing if there is none."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else ""

    @property
    def words(self) -> str:
        """What to tell of it: its last line, else its exit code."""
        return self.last or f"exit code {self.code} without a word"


def attempt(link: Connection, command: str, timeout: float = 60.0) -> Finished:
    """Run a command that may fail; raises BootError if the machine goes away or `timeout` (s) passes."""
    try:
        done = link.run(command, hide=True, warn=True, timeout=timeout, in_stream=False)
    except CommandTimedOut:
        raise BootError(f"'{command.split(';', maxsplit=1)[0]}' did not end within {timeout:g} s") from None
    except (*LOST, ThreadException) as error:
        raise BootError(f"{link.host} no longer answers: {str(error) or type(error).__name__}") from None
    if done.exited == -1:  # the connection ended before the command did
        raise BootError(f"{link.host} no longer answers")
    return Finished(int(done.exited), str(done.stdout), str(done.stderr))


def terminal(link: Connection, argv: Sequence[str]) -> int:
    """Run a command on our terminal, every key passed on as it is; without a terminal like `execute`."""
    if not os.isatty(0):
        return execute(link, argv)
    channel = link.client.get_transport().open_session()
    size = os.get_terminal_size(0)
    channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
    saved = termios.tcgetattr(0)

    def resized(*_: object) -> None:
        size = os.get_terminal_size(0)
        channel.resize_pty(size.columns, size.lines)

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(0)
        return _join(channel, argv)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGWINCH, before)


def execute(link: Connection, argv: Sequence[str]) -> int:
    """Run a command with our own stdin, stdout and stderr, byte for byte; returns its exit code."""
    return _join(link.client.get_transport().open_session(), argv)


def _join(channel: paramiko.Channel, argv: Sequence[str]) -> int:
    channel.exec_command(argv[0] if len(argv) == 1 else shlex.join(argv))
    feeder = threading.Thread(target=_feed, args=(channel,), daemon=True)
    feeder.start()
    copiers = [
        threading.Thread(target=_drain, args=(channel, channel.recv, 1)),
        threading.Thread(target=_drain, args=(channel, channel.recv_stderr, 2)),
    ]
    for copier in copiers:
        copier.start()
    for copier in copiers:
        copier.join()
    return int(channel.recv_exit_status())


def follow(link: Connection, argv: Sequence[str]) -> Iterator[str]:
    """The lines that a command prints, as they come."""
    channel = link.client.get_transport().open_session()
    channel.exec_command(shlex.join(argv))
    with channel.makefile("r") as lines:
        for line in lines:
            yield line.rstrip("\n")


def login(link: Connection) -> int:
    """An interactive login shell on our terminal; returns the exit code of the last command in it."""
    try:
        link.shell()
    except UnexpectedExit as ended:
        return int(ended.result.exited)
    return 0


def _feed(channel: paramiko.Channel) -> None:
    """Pass our stdin on until it ends or the command does."""
    source = 0  # not sys.stdin, which does not exist where descriptor 0 is closed
    with contextlib.suppress(OSError):
        while not channel.closed:
            ready, _, _ = select.select([source], [], [], 0.2)
            if not ready:
                continue
            data = os.read(source, _CHUNK)
            if not data:
                channel.shutdown_write()
                return
            channel.sendall(data)


def _drain(channel: paramiko.Channel, receive: Callable[[int], bytes], sink: int) -> None:
    """Pass the command's output on to descriptor `sink`; when nobody reads it any more, the command is given up."""
    try:
        while data := receive(_CHUNK):
            while data:
                data = data[os.write(sink, data) :]
    except OSError:
        channel.close()


def put(link: Connection, source: Path, target: str, still: float = _STILL_SECONDS) -> None:
    """Copy a file or folder to the machine; a target that is a folder there receives it under its own name.

    Raises StalledError, and closes the connection, if nothing moves for `still` seconds.
    """
    if not source.exists() or source == Path():
        raise UsageError(f"'{source}': no such file")
    with _copying(link, still) as moved:
        sftp = link.sftp()
        if target.endswith("/") or _is_folder(sftp, target):
            target = posixpath.join(target, source.name)
        _put(sftp, source, target, moved)


def _put(sftp: paramiko.SFTPClient, source: Path, target: str, moved: Callable[..., None], depth: int = 0) -> None:
    moved()
    if source.is_dir():
        if depth == _DEPTH:
            raise OrchError(f"cannot copy {source}: folders are nested deeper than {_DEPTH}")
        if not _is_folder(sftp, target):
            sftp.mkdir(target)
        for child in sorted(source.iterdir()):
            _put(sftp, child, posixpath.join(target, child.name), moved, depth + 1)
        return
    if depth and not source.is_file():  # one that is named itself may be a pipe with somebody at its other end
        raise OrchError(f"cannot copy {source}: neither a file nor a folder")
    try:
        sftp.put(str(source), target, callback=moved)
        sftp.chmod(target, stat.S_IMODE(source.stat().st_mode))
    except OSError as error:
        raise OrchError(f"cannot copy {source} to {target}: {error.strerror or error}") from None


def get(link: Connection, source: str, target: Path, still: float = _STILL_SECONDS) -> None:
    """Copy a file or folder from the machine; a target that is a folder here receives it under its own name.

    Raises StalledError as `put` does.
    """
    if target.is_dir():
        target = target / posixpath.basename(source.rstrip("/"))
    with _copying(link, still) as moved:
        _get(link.sftp(), source, target, moved)


def _get(sftp: paramiko.SFTPClient, source: str, target: Path, moved: Callable[..., None], depth: int = 0) -> None:
    moved()
    if _is_folder(sftp, source):
        if depth == _DEPTH:
            raise OrchError(f"cannot copy {source}: folders are nested deeper than {_DEPTH}")
        target.mkdir(exist_ok=True)
        for name in sorted(sftp.listdir(source)):
            # The machine's word: a realm or a VM may be anybody's.
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise OrchError(f"cannot copy {source}: the machine names a file {name!r} in it")
            _get(sftp, posixpath.join(source, name), target / name, moved, depth + 1)
        return
    if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
        with target.open("wb") as sink:
            sftp.getfo(source, sink, callback=moved)
        return
    target = target.resolve()
    scratch = target.with_name(f".{target.name}.part")
    try:
        sftp.get(source, str(scratch), callback=moved)
        scratch.chmod((sftp.stat(source).st_mode or 0o644) & 0o777)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise OrchError(f"cannot copy {source} to {target}: {error.strerror or error}") from None


def _is_folder(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        return stat.S_ISDIR(sftp.stat(path).st_mode or 0)
    except OSError:
        return False
