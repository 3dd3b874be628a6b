# SPDX-License-Identifier: Apache-2.0
"""The state of a key service: a database whose secrets are sealed, and the keys of the service itself among them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import ECKey
from sqlalchemy.engine import Connection, Engine

from orchestrator.errors import EnvError
from orchestrator.service import audit, sealing, tables
from orchestrator.service.audit import Head
from orchestrator.service.jose import identity, make_key, public, read_public
from orchestrator.service.sealing import KEY_BYTES, Keyring
from orchestrator.service.tables import META, OWNERS

_SIGNING, _ENCRYPTION, _DATA_KEY = "signing key", "encryption key", "data key "


@dataclass
class Refusals:
    """How many refusals are written down: whoever is refused again and again does not fill the log.

    `burst` at once, then `rate` a second; the next that is written says how many were left out.
    """

    burst: float = 200.0
    rate: float = 1.0
    _left: float = 200.0
    _then: float = 0.0
    _out: int = 0

    def take(self, now: float) -> int | None:
        """How many were left out before this one; None if this one is left out as well."""
        self._left = min(self.burst, self._left + (now - self._then) * self.rate)
        self._then = now
        if self._left < 1:
            self._out += 1
            return None
        self._left -= 1
        out, self._out = self._out, 0
        return out


@dataclass(frozen=True)
class Store:
    """An open state. `signing` signs answers and the audit log, `encryption` opens what is sealed to the service."""

    engine: Engine
    keyring: Keyring = field(repr=False)
    signing: ECKey = field(repr=False)
    encryption: ECKey = field(repr=False)
    clock: Callable[[], float] = time.time
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def id(self) -> str:
        """What the service is called: the thumbprint of its signing key."""
        return identity(self.signing)

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock())

    def public(self) -> dict[str, Any]:
        """What others need to know of it: JSON-able."""
        return {"id": self.id, "signing": public(self.signing), "encryption": public(self.encryption)}

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that writes."""
        return tables.writing(self.engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads."""
        return tables.reading(self.engine)

    def mark(self, text: str) -> bytes:
        """What shows later that a row still says this: nobody without the key elsewhere can make one."""
        return self.keyring.seal(b"", f"row {text}")

    def check(self, mark: bytes, text: str) -> None:
        """Raise EnvError unless that is the mark of a row that says this."""
        self.keyring.unseal(mark, f"row {text}")

    def log(self, connection: Connection, event: str, **facts: Any) -> Head:
        """An entry of the audit log, in the transaction of what it tells."""
        return audit.append(connection, self.signing, self.now, event, facts)


def log_refusal(store: Store, event: str, facts: Mapping[str, Any]) -> None:
    """An entry of its own for what was refused, unless there are too many."""
    out = store.refusals.take(time.monotonic())
    if out is not None:
        with store.writing() as connection:
            store.log(connection, event, **facts, **({"left_out": out} if out else {}))


def create(url: str, seal_key: bytes, owners: dict[str, tuple[dict[str, str], dict[str, str]]]) -> Store:
    """A new state for these owners: by name, their public keys and those of their recovery keys."""
    engine = tables.connect(url)
    tables.create(engine)
    keyring = Keyring({1: secrets.token_bytes(KEY_BYTES)})
    store = Store(engine, keyring, make_key(), make_key())
    with store.writing() as connection:
        _put(connection, f"{_DATA_KEY}1", sealing.seal(seal_key, keyring.keys[1], f"{_DATA_KEY}1"))
        for name, key in ((_SIGNING, store.signing), (_ENCRYPTION, store.encryption)):
            _put(connection, name, keyring.seal(json.dumps(key.as_dict(private=True)).encode(), name))
        for name, (jwk, recovery) in owners.items():
            _add_owner(store, connection, name, jwk, recovery)
        store.log(connection, "created", service=store.id, owners={name: jwk for name, (jwk, _) in owners.items()})
    return store


def open_store(url: str, seal_key: bytes, clock: Callable[[], float] = time.time) -> Store:
    """A state that is there; raises EnvError if it is none, or if the key is not its."""
    engine = tables.connect(url)
    try:
        with tables.reading(engine) as connection:
            found = {str(row.name): bytes(row.value) for row in connection.execute(sa.select(META))}
    except sa.exc.SQLAlchemyError:
        raise EnvError(f"{engine.url.database}: no state of a key service", hint="`orch keys init`") from None
    names = [name for name in found if name.startswith(_DATA_KEY)]
    keyring = Keyring(
        {int(name.removeprefix(_DATA_KEY)): sealing.unseal(seal_key, found[name], name) for name in names}
    )
    signing, encryption = (
        ECKey.import_key(json.loads(keyring.unseal(found[name], name))) for name in (_SIGNING, _ENCRYPTION)
    )
    return Store(engine, keyring, signing, encryption, clock)


def reseal(store: Store, old_key: bytes, new_key: bytes) -> Store:
    """Another key elsewhere, and a new data key for what is sealed from now on: only data keys are sealed anew."""
    generation = store.keyring.newest + 1
    keyring = Keyring(store.keyring.keys | {generation: secrets.token_bytes(KEY_BYTES)})
    with store.writing() as connection:
        for number, key in keyring.keys.items():
            name = f"{_DATA_KEY}{number}"
            if number != generation:  # only who has the old key may have a new one
                row = connection.execute(sa.select(META.c.value).where(META.c.name == name)).scalar_one()
                sealing.unseal(old_key, bytes(row), name)
                connection.execute(sa.delete(META).where(META.c.name == name))
            _put(connection, name, sealing.seal(new_key, key, name))
        store.log(connection, "resealed", generation=generation)
    return Store(store.engine, keyring, store.signing, store.encryption, store.clock)


def _put(connection: Connection, name: str, value: bytes) -> None:
    connection.execute(sa.insert(META).values(name=name, value=value))


def _add_owner(store: Store, connection: Connection, name: str, key: dict[str, str], recovery: dict[str, str]) -> None:
    row = {
        "id": identity(read_public(key)),
        "jwk": json.dumps(key),
        "recovery": identity(read_public(recovery)),
        "recovery_jwk": json.dumps(recovery),
    }
    connection.execute(sa.insert(OWNERS).values(**row, name=name, mark=store.mark(owner_text(row))))


def owner_text(row: Mapping[Any, Any]) -> str:
    """What the mark of an owner's row is over."""
    return " ".join(("owner", *(str(row[name]) for name in ("id", "jwk", "recovery", "recovery_jwk"))))


def consent_text(row: Mapping[Any, Any]) -> str:
    """What the mark of a grant or a consent is over: what changes in it. The rest is signed by whoever gave it."""
    return f"consent {row['id']} {row.get('used')} {row['revoked']}"
