# SPDX-License-Identifier: Apache-2.0
"""The tables of the key service, and transactions on them: one writer at a time, in SQLite and in PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from orchestrator.errors import EnvError

_METADATA = sa.MetaData()
_BUSY_MS = 30_000  # a writer waits for another one that long
_ID = sa.String(64)

META = sa.Table("meta", _METADATA, sa.Column("name", _ID, primary_key=True), sa.Column("value", sa.LargeBinary))
"""Data keys and the service's own keys, sealed; its public keys."""

OWNERS = sa.Table(
    "owners",
    _METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("jwk", sa.Text, nullable=False),
    sa.Column("recovery", _ID, nullable=False, unique=True),
    sa.Column("recovery_jwk", sa.Text, nullable=False),
    sa.Column("mark", sa.LargeBinary, nullable=False),
)
"""Who may deposit keys and grant their use; `id` stays when a lost key is replaced, as it names the models."""

MODEL_KEYS = sa.Table(
    "model_keys",
    _METADATA,
    sa.Column("owner", _ID, primary_key=True),
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("production", sa.Boolean, nullable=False),
)

GRANTS = sa.Table(
    "grants",
    _METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("owner", _ID, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("user", _ID, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("revoked", sa.Integer),
    sa.Column("mark", sa.LargeBinary, nullable=False),
    sa.Index("grants_of", "owner", "model", "user"),
)
"""Consent of owners: what it says is in the signed statement, and read there."""

CONSENTS = sa.Table(
    "consents",
    _METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("owner", _ID, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("user", _ID, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("request_key", sa.LargeBinary),
    sa.Column("revoked", sa.Integer),
    sa.Column("mark", sa.LargeBinary, nullable=False),
    sa.Index("consents_of", "owner", "model", "user"),
)
"""Consent of users, and the key of their requests if they have one."""

STATEMENTS = sa.Table("statements", _METADATA, sa.Column("id", _ID, primary_key=True), sa.Column("expires", sa.Integer))
"""Statements that were carried out, until nobody could send them again."""

SESSIONS = sa.Table(
    "sessions",
    _METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("nonce", _ID, nullable=False),
    sa.Column("expires", sa.Integer, nullable=False, index=True),
    sa.Column("attested", sa.Text),
)
"""By the hash of their cookie; `attested` is what a realm has proved."""

RELEASES = sa.Table(
    "releases",
    _METADATA,
    sa.Column("nonce", _ID, primary_key=True),
    sa.Column("owner", _ID, primary_key=True),
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("signing_jwk", sa.Text),
    sa.Column("deleted", sa.Integer),
)
"""What was handed out: once in a session for each model."""

AUDIT = sa.Table("audit", _METADATA, sa.Column("seq", sa.Integer, primary_key=True), sa.Column("line", sa.Text))
HEAD = sa.Table(
    "head",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
"""The end of the audit log, in one row; whoever writes holds it."""


def connect(url: str) -> Engine:
    """An engine for a database of either kind; raises EnvError for another."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False})
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", _on_begin)
        return engine
    if url.startswith("postgresql"):
        try:
            return sa.create_engine(url, pool_size=8, pool_pre_ping=True, isolation_level="READ COMMITTED")
        except ImportError:
            raise EnvError(
                "PostgreSQL needs the package psycopg", hint="pip install 'orchestrator[postgres]'"
            ) from None
    raise EnvError(f"{url.partition(':')[0]}: the key service keeps its state in SQLite or PostgreSQL")


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun here, not by the driver's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def create(engine: Engine) -> None:
    """Make the tables of an empty database."""
    with writing(engine, locked=False) as connection:
        _METADATA.create_all(connection)
        connection.execute(sa.insert(HEAD).values(id=1, seq=0, hash=""))


@contextmanager
def writing(engine: Engine, *, locked: bool = True) -> Iterator[Connection]:
    """A transaction that writes: all of it, or nothing; whatever others write comes before it or after it."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if locked:
            connection.execute(sa.select(HEAD.c.seq).where(HEAD.c.id == 1).with_for_update())
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads."""
    with engine.connect() as connection, connection.begin():
        yield connection
