# SPDX-License-Identifier: Apache-2.0
"""A real SSH server on loopback, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fabric import Connection
from ssh_server import Host, served

from orchestrator.shell import ssh


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """The server; relative paths of it begin in `host.home`."""
    (tmp_path / "server").mkdir()
    with served(tmp_path / "server") as made:
        yield made


@pytest.fixture
def link(host: Host) -> Iterator[Connection]:
    """An open connection to it."""
    with ssh.opened(host.server, 10) as made:
        yield made
