# SPDX-License-Identifier: Apache-2.0
"""What the other rooms use of SSH: connections, commands, copies.

Each is in a module of its own; this one says which names are for others.
"""

from __future__ import annotations

from orchestrator.shell.commands import Finished, attempt, capture, closed_after, follow
from orchestrator.shell.copying import get, put
from orchestrator.shell.exchange import exchange
from orchestrator.shell.link import (
    LOST,
    LostError,
    Server,
    StalledError,
    answers,
    connect,
    connection,
    fingerprint,
    leave,
    opened,
)
from orchestrator.shell.terminal import execute, login, terminal

__all__ = [
    "LOST",
    "Finished",
    "LostError",
    "Server",
    "StalledError",
    "answers",
    "attempt",
    "capture",
    "closed_after",
    "connect",
    "connection",
    "exchange",
    "execute",
    "fingerprint",
    "follow",
    "get",
    "leave",
    "login",
    "opened",
    "put",
    "terminal",
]
