# SPDX-License-Identifier: Apache-2.0
"""What owners and users state: verified, carried out once, and written down, in one transaction each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import ECKey
from pydantic import ValidationError
from sqlalchemy.engine import Connection, RowMapping

from orchestrator.schema.keys import (
    STATEMENT,
    AnyStatement,
    Ask,
    Consent,
    Grant,
    PutKey,
    ReplaceOwner,
    Revoke,
    Statement,
)
from orchestrator.service import audit, jose
from orchestrator.service.messages import describe
from orchestrator.service.refusal import ABSENT, MALFORMED, UNATTESTED, RefusedError
from orchestrator.service.store import Store, consent_text, owner_text
from orchestrator.service.tables import CONSENTS, GRANTS, MODEL_KEYS, OWNERS, STATEMENTS

LONGEST = 600
"""Seconds that a statement may be good for: as long its id is remembered."""
SKEW = 60
"""Seconds by which clocks may differ."""
MAX_GRANTS = 1000
"""Of one user to one model, revoked ones included: what is looked through at each release."""


def carry_out(store: Store, text: str) -> dict[str, Any]:
    """Carry a statement out; returns the service's signed answer. Raises RefusedError.

    What is read may be long: it stands beside the answer, which has its hash.
    """
    kid = jose.signer(text)
    with store.writing() as connection:
        owner = find_owner(store, connection, kid)
        key = _key(connection, kid, owner)
        statement = parse(jose.checked(text, key, jose.STATEMENT))
        _once(connection, store, statement)
        facts = _DOING[type(statement)](store, connection, statement, kid, text)
        if isinstance(statement, Ask):
            signed = {"sha256": hashlib.sha256(jose.canonical(facts)).hexdigest()}
        else:
            signed = facts
            store.log(connection, statement.op, by=kid, statement=statement.jti, **facts)
        answer = {"to": statement.jti, "head": audit.head(connection).as_text(), **signed}
        beside = {"found": facts} if isinstance(statement, Ask) else {}
        return {"answer": jose.sign(answer, store.signing, jose.ANSWER), **beside}


def parse(payload: Mapping[str, Any]) -> AnyStatement:
    """A statement's fields; raises RefusedError."""
    try:
        return STATEMENT.validate_python(payload)
    except ValidationError as error:
        raise RefusedError(describe(error), MALFORMED) from None


def _once(connection: Connection, store: Store, statement: Statement) -> None:
    """It is meant for this service, new, and was not carried out before."""
    now = store.now
    if statement.aud != store.id:
        raise RefusedError("the statement is meant for another service")
    if not now - LONGEST - SKEW <= statement.iat <= now + SKEW or not now <= statement.exp <= now + LONGEST + SKEW:
        raise RefusedError(f"the statement is not of these {LONGEST} s: a clock is wrong, or it is an old one")
    connection.execute(sa.delete(STATEMENTS).where(STATEMENTS.c.expires < now - SKEW))
    if connection.execute(sa.select(STATEMENTS.c.id).where(STATEMENTS.c.id == statement.jti)).first():
        raise RefusedError("the statement was carried out before")
    connection.execute(sa.insert(STATEMENTS).values(id=statement.jti, expires=statement.exp))


def find_owner(store: Store, connection: Connection, kid: str) -> RowMapping | None:
    """The owner whose key that is now, or whose recovery key."""
    for row in connection.execute(sa.select(OWNERS)).mappings():
        if kid in (jose.identity(jose.read_public(json.loads(row["jwk"]))), row["recovery"]):
            store.check(row["mark"], owner_text(row))
            return row
    return None


def _key(connection: Connection, kid: str, owner: RowMapping | None) -> ECKey:
    """The public key of whoever has signed: an owner's, her recovery key, or that of a user whom an owner has named."""
    if owner is not None:
        return jose.read_public(json.loads(owner["recovery_jwk" if kid == owner["recovery"] else "jwk"]))
    found = connection.execute(sa.select(GRANTS.c.statement).where(GRANTS.c.user == kid)).scalars().first()
    if found is None:
        raise RefusedError("nobody here has that key: no owner, and no user whom one has named", UNATTESTED)
    return granted_user(str(found), kid)


def granted_user(statement: str, user: str) -> ECKey:
    """The key of a user, from a grant; his name is its hash, so that it can be no other."""
    key = jose.read_public(jose.unverified(statement)["user"])
    if jose.identity(key) != user:
        raise RefusedError("a grant that does not name its user's key", MALFORMED)
    return key


def _need_owner(store: Store, connection: Connection, kid: str, *, recovery: bool = False) -> RowMapping:
    owner = find_owner(store, connection, kid)
    if owner is None or (kid == owner["recovery"]) != recovery:
        who = "an owner's recovery key" if recovery else "an owner"
        raise RefusedError(f"that is for {who} to state")
    return owner


def _put_key(store: Store, connection: Connection, said: PutKey, kid: str, _text: str) -> dict[str, Any]:
    owner = _need_owner(store, connection, kid)["id"]
    newest = newest_version(connection, owner, said.model)
    if said.version != newest + 1:
        raise RefusedError(f"version {newest + 1} of {said.model} is due, not {said.version}")
    key = jose.unseal(said.key.model_dump(), store.encryption)
    if not 16 <= len(key) <= 64:
        raise RefusedError("a model's key has 16 to 64 bytes", MALFORMED)
    sealed = store.keyring.seal(key, key_label(owner, said.model, said.version))
    connection.execute(
        sa.insert(MODEL_KEYS).values(
            owner=owner, model=said.model, version=said.version, sealed=sealed, production=said.production
        )
    )
    return {"owner": owner, "model": said.model, "version": said.version, "production": said.production}


def newest_version(connection: Connection, owner: str, model: str) -> int:
    """The newest version of a model's key; 0 if there is none."""
    which = (MODEL_KEYS.c.owner == owner) & (MODEL_KEYS.c.model == model)
    return int(connection.execute(sa.select(sa.func.max(MODEL_KEYS.c.version)).where(which)).scalar() or 0)


def key_label(owner: str, model: str, version: int) -> str:
    """What a sealed model key is authenticated as."""
    return f"key {owner} {model} {version}"


def _grant(store: Store, connection: Connection, said: Grant, kid: str, text: str) -> dict[str, Any]:
    owner = _need_owner(store, connection, kid)
    user = jose.identity(jose.read_public(said.user.model_dump()))
    if find_owner(store, connection, user) is not None:
        raise RefusedError("an owner's key is no user's: who plays both has two")
    which = (GRANTS.c.owner == owner["id"]) & (GRANTS.c.model == said.model) & (GRANTS.c.user == user)
    if connection.execute(sa.select(sa.func.count()).select_from(GRANTS).where(which)).scalar_one() >= MAX_GRANTS:
        raise RefusedError(f"there are {MAX_GRANTS} grants of this model to this user")
    values = {"id": said.jti, "owner": owner["id"], "model": said.model, "user": user}
    mark = store.mark(consent_text({"id": said.jti, "used": 0, "revoked": None}))
    connection.execute(sa.insert(GRANTS).values(**values, statement=text, used=0, mark=mark))
    return {**values, "rim": said.rim, "expires": said.expires, "quota": said.quota}


def _consent(store: Store, connection: Connection, said: Consent, kid: str, text: str) -> dict[str, Any]:
    which = (GRANTS.c.owner == said.owner) & (GRANTS.c.model == said.model) & (GRANTS.c.user == kid)
    if connection.execute(sa.select(GRANTS.c.id).where(which)).first() is None:
        raise RefusedError("the owner has not granted this model to this user: there is nothing to consent to")
    count = sa.select(sa.func.count()).select_from(CONSENTS)
    mine = (CONSENTS.c.owner == said.owner) & (CONSENTS.c.model == said.model) & (CONSENTS.c.user == kid)
    if connection.execute(count.where(mine)).scalar_one() >= MAX_GRANTS:
        raise RefusedError(f"there are {MAX_GRANTS} consents of this user to this model")
    sealed = None
    if said.request_key is not None:
        key = jose.unseal(said.request_key.model_dump(), store.encryption)
        if not 16 <= len(key) <= 64:
            raise RefusedError("a request key has 16 to 64 bytes", MALFORMED)
        sealed = store.keyring.seal(key, f"request key {said.jti}")
    values = {"id": said.jti, "owner": said.owner, "model": said.model, "user": kid}
    mark = store.mark(consent_text({"id": said.jti, "revoked": None}))
    connection.execute(sa.insert(CONSENTS).values(**values, statement=text, request_key=sealed, mark=mark))
    return {**values, "rim": said.rim, "expires": said.expires}


def _revoke(store: Store, connection: Connection, said: Revoke, kid: str, _text: str) -> dict[str, Any]:
    """An owner takes her grants back, a user his consents; nothing says what others have."""
    owner = find_owner(store, connection, kid)
    if owner is not None and kid != owner["recovery"]:
        table, which = GRANTS, GRANTS.c.owner == owner["id"]
    else:
        table, which = CONSENTS, CONSENTS.c.user == kid
    found = connection.execute(sa.select(table).where(which & (table.c.id == said.id))).mappings().first()
    if found is None:
        raise RefusedError("there is no such consent of this party", ABSENT)
    _end(store, connection, table, found)
    return {"revoked": said.id}


def _end(store: Store, connection: Connection, table: sa.Table, row: RowMapping) -> None:
    """Take a consent back, once."""
    store.check(row["mark"], consent_text(row))
    if row["revoked"] is None:
        mark = store.mark(consent_text({**row, "revoked": store.now}))
        connection.execute(sa.update(table).where(table.c.id == row["id"]).values(revoked=store.now, mark=mark))


def _replace_owner(store: Store, connection: Connection, said: ReplaceOwner, kid: str, _text: str) -> dict[str, Any]:
    """A lost key may be a stolen one: what it granted ends. Models and their keys stay, and so does the owner's id."""
    owner = _need_owner(store, connection, kid, recovery=True)
    key, recovery = (jose.read_public(each.model_dump()) for each in (said.key, said.recovery))
    names = {jose.identity(key), jose.identity(recovery)}
    used = connection.execute(sa.select(GRANTS.c.id).where(GRANTS.c.user.in_(names))).first()
    if len(names) != 2 or used is not None or any(find_owner(store, connection, each) is not None for each in names):
        raise RefusedError("the new keys are not two that nobody has here")
    row = {"id": owner["id"], "jwk": json.dumps(said.key.model_dump()), "recovery": jose.identity(recovery)}
    row["recovery_jwk"] = json.dumps(said.recovery.model_dump())
    changed = sa.update(OWNERS).where(OWNERS.c.id == owner["id"])
    connection.execute(changed.values(**row, mark=store.mark(owner_text(row))))
    which = (GRANTS.c.owner == owner["id"]) & GRANTS.c.revoked.is_(None)
    ended = connection.execute(sa.select(GRANTS).where(which)).mappings().all()
    for grant in ended:
        _end(store, connection, GRANTS, grant)
    return {"owner": owner["id"], "key": jose.identity(key), "grants_ended": len(ended)}


def _ask(store: Store, connection: Connection, said: Ask, kid: str, _text: str) -> dict[str, Any]:
    """Owners see what is theirs and the audit log; users what was granted to them, and what they have consented to."""
    if said.op == "audit":
        _need_owner(store, connection, kid)
        return {"entries": audit.lines(connection)}
    owner = find_owner(store, connection, kid)
    mine = {table: table.c.owner == owner["id"] if owner else table.c.user == kid for table in (GRANTS, CONSENTS)}
    found: dict[str, Any] = {"owner": owner["id"] if owner else None, "models": []}
    if owner:
        columns = (MODEL_KEYS.c.model, MODEL_KEYS.c.version, MODEL_KEYS.c.production)
        query = sa.select(*columns).where(MODEL_KEYS.c.owner == owner["id"]).order_by(*columns[:2])
        found["models"] = [dict(row) for row in connection.execute(query).mappings()]
    for name, table in (("grants", GRANTS), ("consents", CONSENTS)):
        rows = connection.execute(sa.select(table).where(mine[table]).order_by(table.c.id)).mappings()
        found[name] = [_told(row) for row in rows]
    return found


def _told(row: RowMapping) -> dict[str, Any]:
    said = jose.unverified(str(row["statement"]))
    known = {name: row[name] for name in ("id", "owner", "model", "user", "revoked")}
    terms = {name: said[name] for name in ("rim", "expires", "quota", "lease", "min_version") if name in said}
    return known | terms | ({"used": row["used"]} if "used" in row else {})


_DOING: dict[type[Statement], Any] = {
    PutKey: _put_key,
    Grant: _grant,
    Consent: _consent,
    Revoke: _revoke,
    ReplaceOwner: _replace_owner,
    Ask: _ask,
}
