# SPDX-License-Identifier: Apache-2.0
"""One question to a service behind an SSH server, and its whole answer; for what happens before there is a log-in."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko

from orchestrator.errors import BootError
from orchestrator.shell.link import LOST, through

if TYPE_CHECKING:
    from fabric import Connection

_PIECE = 1 << 15
_PATIENCE = 5.0  # s for a port that nobody listens at yet
_RETRY = 0.5  # s


def exchange(gateway: Connection, address: str, port: int, question: bytes, *, limit: float, most: int) -> bytes:
    """Send `question` to a TCP port that the gateway reaches; what is answered until the other side closes.

    Raises BootError if that takes longer than `limit` seconds in all, or is more than `most` bytes.
    """
    where, deadline = f"{address} port {port}", time.monotonic() + limit
    try:
        channel = _open(gateway, address, port, limit)
        try:
            channel.settimeout(limit)
            channel.sendall(question)
            return _read(channel, deadline, most)
        finally:
            with suppress(*LOST):
                channel.close()
    except (TimeoutError, *LOST) as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            raise BootError(f"{where}: no whole answer within {limit:g} s") from None
        raise BootError(f"{where}: {str(error) or type(error).__name__}") from None


def _open(gateway: Connection, address: str, port: int, limit: float) -> paramiko.Channel:
    """A way to the port; one that cannot be reached at once is tried again for a while, as a machine may be busy."""
    until = time.monotonic() + min(_PATIENCE, limit)
    while True:
        try:
            return through(gateway).open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=limit)
        except paramiko.ChannelException:
            if time.monotonic() >= until:
                raise
            time.sleep(_RETRY)


def _read(channel: paramiko.Channel, deadline: float, most: int) -> bytes:
    answer = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        piece = channel.recv(_PIECE)
        if not piece:
            return bytes(answer)
        answer += piece
        if len(answer) > most:
            raise ConnectionError(f"an answer of more than {most} bytes")
