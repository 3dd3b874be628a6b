# SPDX-License-Identifier: Apache-2.0
"""The audit log: each entry is signed by the service and holds the hash of the one before, so that none can go missing.

It is verified off line, with the service's public key alone. What was cut off at the end shows against a head that
somebody has kept: every answer of the service has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from joserfc.jwk import ECKey
from sqlalchemy.engine import Connection

from orchestrator.errors import AttestationError
from orchestrator.service.jose import AUDIT as KIND
from orchestrator.service.jose import checked, sign
from orchestrator.service.refusal import RefusedError
from orchestrator.service.tables import AUDIT, HEAD


@dataclass(frozen=True)
class Head:
    """The end of a log: how many entries, and the hash of the last one."""

    seq: int
    hash: str

    def as_text(self) -> str:
        """As answers have it: SEQ:HASH."""
        return f"{self.seq}:{self.hash}"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The other way; None for what is none."""
        seq, _, digest = text.strip().partition(":")
        return cls(int(seq), digest) if seq.isdigit() and digest else None


def append(connection: Connection, key: ECKey, now: int, event: str, facts: Mapping[str, Any]) -> Head:
    """Add an entry inside a transaction that writes; returns the new end."""
    last = head(connection)
    entry = {"seq": last.seq + 1, "time": now, "event": event, "facts": dict(facts), "before": last.hash}
    line = sign(entry, key, KIND)
    new = Head(last.seq + 1, line_hash(line))
    connection.execute(sa.insert(AUDIT).values(seq=new.seq, line=line))
    connection.execute(sa.update(HEAD).where(HEAD.c.id == 1).values(seq=new.seq, hash=new.hash))
    return new


def head(connection: Connection) -> Head:
    """The end of the log."""
    row = connection.execute(sa.select(HEAD.c.seq, HEAD.c.hash).where(HEAD.c.id == 1)).one()
    return Head(int(row.seq), str(row.hash))


def lines(connection: Connection) -> list[str]:
    """The whole log, entry by entry."""
    return [str(line) for line in connection.execute(sa.select(AUDIT.c.line).order_by(AUDIT.c.seq)).scalars()]


def line(connection: Connection, seq: int) -> str | None:
    """One entry; None if there is none of that number."""
    found = connection.execute(sa.select(AUDIT.c.line).where(AUDIT.c.seq == seq)).scalar()
    return None if found is None else str(found)


def line_hash(line: str) -> str:
    """SHA-256 of an entry as it is kept, in hexadecimal."""
    return hashlib.sha256(line.encode("ascii")).hexdigest()


def verify(log: Iterable[str], key: ECKey, kept: Head | None = None) -> list[dict[str, Any]]:
    """The entries of a log that is whole; raises AttestationError at the first that is not as it must be.

    `kept` is an end that was seen before: the log must still have it.
    """
    entries: list[dict[str, Any]] = []
    before = ""
    for number, line in enumerate(log, 1):
        try:
            entry = checked(line.strip(), key, KIND)
        except RefusedError as error:
            raise AttestationError(f"audit log, entry {number}: {error.message}") from None
        if entry.get("seq") != number or entry.get("before") != before:
            raise AttestationError(f"audit log, entry {number}: it does not follow the one before")
        before = line_hash(line.strip())
        if kept is not None and kept.seq == number and kept.hash != before:
            raise AttestationError(f"audit log, entry {number}: not the one whose hash was kept")
        entries.append(entry)
    if kept is not None and kept.seq > len(entries):
        raise AttestationError(f"audit log: it ends with entry {len(entries)}, and {kept.seq} were there before")
    return entries
