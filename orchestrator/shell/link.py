# SPDX-License-Identifier: Apache-2.0
"""A connection to an SSH server that must own the key we gave it; nothing of the user's own SSH settings has a part."""

from __future__ import annotations

import base64
import functools
import hashlib
import logging
import signal
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import paramiko
from fabric import Config, Connection
from fabric.runners import Remote, RemoteShell
from invoke.config import Config as InvokeConfig
from invoke.config import merge_dicts
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST
from paramiko.config import SSHConfig, SSHConfigDict
from paramiko.ssh_exception import NoValidConnectionsError

from orchestrator.errors import BootError, EnvError, OrchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors reach us as exceptions

# What the libraries raise when a connection ends in the middle of something.
LOST = (OSError, EOFError, paramiko.SSHException)
# What of the operating system's errors means that nobody is there yet; the others would stay.
_MAY_PASS = (ConnectionError, TimeoutError, NoValidConnectionsError)
SIGNALLED = 128
"""Exit code of a command that a signal has ended, less the signal's number: as shells have it."""
_SSH_PORT = 22
_RETRY = 0.02  # s between attempts while the server is not listening yet
_LEAST = 0.1  # s that one attempt is given
_LEAVE = 1.0  # s to take leave of a server


class LostError(BootError):
    """A connection ended in the middle of something."""


class StalledError(BootError):
    """A copy stood still for too long; its connection is closed."""


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


# --- what the libraries are told --------------------------------------------------------------------------------------


class _NoSettings(SSHConfig):
    """Says nothing of any address: paramiko's own would look up who the user is, where there is nothing to expand."""

    def lookup(self, hostname: str) -> SSHConfigDict:
        """Nothing."""
        return SSHConfigDict()


class _Settings(Config):  # type: ignore[misc]
    """fabric's own defaults: no file of the user's or the system's is read, and nobody is asked who the user is."""

    def __init__(self) -> None:
        super().__init__(lazy=True, ssh_config=_NoSettings(), defaults=self.ours())

    @staticmethod
    def ours() -> dict[str, Any]:
        """Those of fabric, whose own function looks the user up: one without a name would be an error."""
        defaults: dict[str, Any] = InvokeConfig.global_defaults()
        merge_dicts(
            defaults,
            {
                "authentication": {"identities": [], "strategy_class": None},
                "connect_kwargs": {},
                "forward_agent": False,
                "gateway": None,
                "inline_ssh_env": True,
                "load_ssh_configs": False,
                "port": _SSH_PORT,
                "runners": {"remote": Remote, "remote_shell": RemoteShell},
                "ssh_config_path": None,
                "timeouts": {"connect": None},
                "user": "root",
            },
        )
        return defaults


def _on_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """RFC 4254, 6.10: a server tells the signal that ended a command, which paramiko has no ear for."""
    start = message.packet.tell()
    if message.get_text() != "exit-signal":
        message.packet.seek(start)
        channel._handle_request(message)  # type: ignore[attr-defined]
        return
    message.get_boolean()
    number = getattr(signal, f"SIG{message.get_text()}", 0)
    channel.exit_status = SIGNALLED + int(number)
    channel.status_event.set()


def _on_close(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """The server has said that nothing follows: whatever is missing now was never said."""
    transport = channel.get_transport()
    if isinstance(transport, _Transport):
        transport.ended.add(channel)
    channel._handle_close(message)  # type: ignore[attr-defined]


class _Transport(paramiko.Transport):
    """Knows what signal a command died of, and which channels their server has ended; `limit` (s) is for all waits."""

    # What paramiko itself looks into; its version is pinned.
    _channel_handler_table: ClassVar[dict[int, Callable[[paramiko.Channel, paramiko.Message], None]]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _on_request,
        MSG_CHANNEL_CLOSE: _on_close,
    }

    def __init__(self, *arguments: Any, limit: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.handshake_timeout = limit
        self.ended: weakref.WeakSet[paramiko.Channel] = weakref.WeakSet()

    def run(self) -> None:
        """The thread; one that goes through a connection which has ended cannot take leave, and says nothing of it."""
        with suppress(*LOST):
            super().run()


def ended_by_server(channel: paramiko.Channel) -> bool:
    """Whether the server closed that channel in order, rather than that the connection went."""
    transport = channel.get_transport()
    return isinstance(transport, _Transport) and channel in transport.ended


# --- opening ----------------------------------------------------------------------------------------------------------


def connection(server: Server, timeout: float = 10.0) -> Connection:
    """An unopened fabric connection; unknown host keys are refused. `timeout` in seconds.

    The way through a gateway is opened here: fabric would wait an hour for it.
    """
    way = {}
    if server.gateway is not None:
        way["sock"] = through(server.gateway).open_channel(
            "direct-tcpip", (server.address, server.port), ("127.0.0.1", 0), timeout=timeout
        )
    made = Connection(
        server.address,
        user="root",
        port=server.port,
        config=_Settings(),
        connect_kwargs={
            "pkey": _user_key(server.user_key),
            "look_for_keys": False,
            "allow_agent": False,
            "timeout": timeout,  # fabric's own parameter is cut to whole seconds, and 0 is none
            "banner_timeout": timeout,
            "auth_timeout": timeout,
            "channel_timeout": timeout,
            "transport_factory": functools.partial(_Transport, limit=timeout),
            **way,
        },
    )
    host_key = paramiko.Ed25519Key(data=base64.b64decode(server.host_key.split()[1]))
    made.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    known_as = server.address if server.port == _SSH_PORT else f"[{server.address}]:{server.port}"
    made.client.get_host_keys().add(known_as, "ssh-ed25519", host_key)
    return made


def through(gateway: Connection) -> paramiko.Transport:
    """What channels are opened on; raises LostError if the connection is none any more."""
    transport: paramiko.Transport | None = gateway.client.get_transport()
    if transport is None or not transport.is_active():
        raise LostError(f"{gateway.host} no longer answers")
    return transport


def _user_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except (OSError, paramiko.SSHException) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise EnvError(f"{path}: this testbed's user key cannot be read: {cause}") from None


@contextmanager
def opened(server: Server, timeout: float) -> Iterator[Connection]:
    """An open connection; raises BootError naming the cause when none came up within `timeout` seconds."""
    link = connect(server, timeout)
    try:
        yield link
    finally:
        leave(link)


def answers(server: Server, limit: float) -> bool:
    """Whether it lets us in now, or says within `limit` seconds that it does."""
    try:
        leave(_attempt(server, limit))
    except (OrchError, *LOST):
        return False
    return True


def connect(server: Server, timeout: float) -> Connection:
    """Open a connection, trying again while the server does not answer; `timeout` in seconds in all.

    What cannot get better is told at once.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _attempt(server, max(_LEAST, deadline - time.monotonic()))
        except paramiko.BadHostKeyException:
            raise BootError(
                f"{server}: the server does not own the host key that is pinned for it",
                hint="another program answers there; `orch down`, then `orch up`",
            ) from None
        except paramiko.AuthenticationException:
            raise BootError(f"{server}: the server refused this testbed's user key") from None
        except LOST as error:
            cause = str(error) or type(error).__name__
            if isinstance(error, OSError) and not isinstance(error, _MAY_PASS):
                raise BootError(f"{server} cannot be reached: {error.strerror or cause}") from None
            if time.monotonic() >= deadline:
                raise BootError(f"state 'ssh': {server} did not answer within {timeout:g} s: {cause}") from None
            time.sleep(_RETRY)


def _attempt(server: Server, limit: float) -> Connection:
    """One try at a connection, `limit` seconds from the first packet to the last, whatever it waits for."""
    link = connection(server, limit)
    client = link.client
    with within(limit, lambda: _cut(client)) as too_late:
        try:
            link.open()
        except paramiko.BadHostKeyException:
            _cut(client)
            raise
        except BaseException as error:
            # What paramiko calls a failed authentication may be a connection that ended, or an answer that never came.
            refused = isinstance(error, paramiko.AuthenticationException) and client.get_transport().is_active()
            _cut(client)
            if too_late():
                raise TimeoutError("it is silent") from None
            if isinstance(error, paramiko.AuthenticationException) and not refused:
                raise EOFError("it hung up") from None
            raise
    return link


def _cut(client: paramiko.SSHClient) -> None:
    """End a connection without a word of leave."""
    transport = client.get_transport()
    with suppress(*LOST):
        if transport is not None:
            transport.close()


def leave(what: Connection | paramiko.Channel) -> None:
    """Close a connection or a channel; that the other side is gone already is nobody's failure."""
    with suppress(*LOST):
        what.close()


def cut(link: Connection) -> None:
    """End a connection on which nothing may move any more.

    To take leave of the other side could block for ever; then what it goes through is ended as well.
    """
    transport = link.client.get_transport()
    leaving = threading.Thread(target=_cut, args=(link.client,), daemon=True)
    leaving.start()
    leaving.join(_LEAVE)
    ways: list[paramiko.Transport] = []
    while leaving.is_alive() and transport is not None:
        ways.append(transport)
        transport = transport.sock.get_transport() if isinstance(transport.sock, paramiko.Channel) else None
    for way in reversed(ways):
        with suppress(*LOST):
            way.close()


@contextmanager
def within(seconds: float, end: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Do `end` if this block takes longer; what is yielded says whether it came to that."""
    late = threading.Event()

    def over() -> None:
        late.set()
        end()

    timer = threading.Timer(seconds, over)
    timer.daemon = True
    timer.start()
    try:
        yield late.is_set
    finally:
        timer.cancel()
