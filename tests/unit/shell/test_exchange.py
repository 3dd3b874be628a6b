# SPDX-License-Identifier: Apache-2.0
"""One question to a TCP service behind an SSH server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import paramiko
import pytest
from fabric import Connection
from ssh_server import Host

from orchestrator.errors import BootError
from orchestrator.shell import exchange, ssh

Service = Callable[[Callable[[socket.socket], object]], int]


@pytest.fixture
def service(host: Host) -> Iterator[Service]:
    """Makes a service that does this with its first client; returns its port."""
    open_sockets: list[socket.socket] = []

    def make(serve: Callable[[socket.socket], object]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(server)

        def run() -> None:
            client, _ = server.accept()
            open_sockets.append(client)
            serve(client)

        threading.Thread(target=run, daemon=True).start()
        port = int(server.getsockname()[1])
        host.ways["127.0.0.1", port] = port
        return port

    yield make
    for each in open_sockets:
        each.close()


def test_the_whole_answer(link: Connection, service: Service) -> None:
    def echo_twice(client: socket.socket) -> None:
        said = client.recv(4)
        client.sendall(said + b"x" * 100_000)
        client.close()

    port = service(echo_twice)
    assert ssh.exchange(link, "127.0.0.1", port, b"ping", limit=10, most=1 << 17) == b"ping" + b"x" * 100_000


def test_too_much(link: Connection, service: Service) -> None:
    port = service(lambda client: (client.sendall(b"x" * 5000), client.close()))
    with pytest.raises(BootError, match=f"127.0.0.1 port {port}: an answer of more than 4096 bytes"):
        ssh.exchange(link, "127.0.0.1", port, b"ping", limit=10, most=4096)


@pytest.mark.parametrize("said", [b"", b"half"])
def test_an_answer_without_an_end(link: Connection, service: Service, said: bytes) -> None:
    port = service(lambda client: client.sendall(said))
    with pytest.raises(BootError, match=f"127.0.0.1 port {port}: no whole answer within 0.5 s"):
        ssh.exchange(link, "127.0.0.1", port, b"ping", limit=0.5, most=4096)


def test_a_port_that_is_there_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [paramiko.ChannelException(2, "Connect failed")] * 2
    way = SimpleNamespace(open_channel=lambda *_, **__: "channel" if not answers else raised(answers.pop()))
    monkeypatch.setattr(exchange, "through", lambda _: way)
    monkeypatch.setattr(exchange, "_RETRY", 0.0)
    assert exchange._open(None, "10.0.0.1", 7, 10) == "channel"  # type: ignore[arg-type]


def raised(error: Exception) -> str:
    raise error


def test_nobody_there(link: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    with pytest.raises(BootError, match=f"127.0.0.1 port {port}: "):
        ssh.exchange(link, "127.0.0.1", port, b"ping", limit=1, most=4096)
