# SPDX-License-Identifier: Apache-2.0
"""A copy of the state, sealed as a whole, and the way back; a copy never takes back what was revoked since, unasked.

For SQLite. PostgreSQL has its own means (`pg_dump`): secrets are sealed in the tables themselves.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa

from orchestrator.errors import EnvError, UsageError
from orchestrator.files import replace_file
from orchestrator.service import audit, sealing
from orchestrator.service.audit import Head
from orchestrator.service.store import Store, open_store
from orchestrator.service.tables import SESSIONS

_ABOUT = "backup of a key service"


def url_of(path: Path) -> str:
    """The database in a file."""
    return f"sqlite:///{path}"


def backup(store: Store, seal_key: bytes) -> bytes:
    """A consistent copy, while the service runs."""
    if store.engine.dialect.name != "sqlite":
        raise UsageError("only a state in SQLite is copied so: PostgreSQL has pg_dump")
    with store.writing() as connection:
        store.log(connection, "copied")
    with tempfile.TemporaryDirectory(prefix="orch-keys-") as folder:
        copy = Path(folder) / "copy.db"
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.connection.driver_connection.execute("VACUUM INTO ?", (str(copy),))  # type: ignore[union-attr]
        return sealing.seal(seal_key, copy.read_bytes(), _ABOUT)


def restore(data: bytes, path: Path, seal_key: bytes, *, older: bool = False) -> Head:
    """Put a copy in the place of a state; returns the end of its log. Raises EnvError for what is no copy.

    The state that is there must be a part of the copy's past; `older` allows what it has beyond that to be lost, such
    as revocations. Nobody may be serving it.
    """
    plain = sealing.unseal(seal_key, data, _ABOUT)
    with tempfile.TemporaryDirectory(prefix="orch-keys-", dir=path.parent) as folder:
        copy = Path(folder) / "copy.db"
        copy.write_bytes(plain)
        found = open_store(url_of(copy), seal_key)
        entries = _log(found)
        audit.verify(entries, found.signing)
        if path.exists() and not older:
            _need_past(entries, path, seal_key)
        with found.writing() as connection:
            connection.execute(sa.delete(SESSIONS))
            head = found.log(connection, "restored", entries=len(entries))
        found.engine.dispose()
        _make_one_file(copy)
        if path.exists():
            _make_one_file(path)
        replace_file(path, copy.read_bytes(), durable=True, mode=0o600)
    return head


def _make_one_file(path: Path) -> None:
    """Nothing of a database is in other files any more: what stands beside it would be taken for the next one's."""
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.DatabaseError):  # which is no state any more
        connection.execute("PRAGMA journal_mode=DELETE")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _log(store: Store) -> list[str]:
    with store.reading() as connection:
        return audit.lines(connection)


def _need_past(copy: list[str], path: Path, seal_key: bytes) -> None:
    store = open_store(url_of(path), seal_key)
    there = _log(store)
    store.engine.dispose()
    if copy[: len(there)] != there:
        same = next((number for number, (a, b) in enumerate(zip(copy, there, strict=False)) if a != b), len(copy))
        raise EnvError(
            f"the state that is there has {len(there) - same} entries in its log that the copy lacks",
            hint="revocations may be among them; --older restores it all the same",
        )
