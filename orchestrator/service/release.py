# SPDX-License-Identifier: Apache-2.0
"""A model's key, handed to a realm that owner and user have named: decided, debited and told in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from orchestrator.schema.keys import Consent, Deletion, Grant
from orchestrator.service import jose
from orchestrator.service.messages import read
from orchestrator.service.refusal import ABSENT, RefusedError
from orchestrator.service.sessions import Attested
from orchestrator.service.statements import find_owner, granted_user, key_label, newest_version, parse
from orchestrator.service.store import Store, consent_text, log_refusal
from orchestrator.service.tables import CONSENTS, GRANTS, MODEL_KEYS, OWNERS, RELEASES

Said = TypeVar("Said", Grant, Consent)


@dataclass(frozen=True)
class Wanted:
    """Whose model, and for which user."""

    owner: str
    model: str
    user: str


def release(store: Store, realm: Attested, wanted: Wanted) -> dict[str, str]:
    """The key, signed by the service and sealed to the realm; raises RefusedError, and writes that down.

    A refusal costs nothing. A release costs a lease: answers that get lost are lost, as the host could lose them.
    """
    facts = {"nonce": realm.nonce, "rim": realm.rim, **wanted.__dict__}
    try:
        with store.writing() as connection:
            said = _decide(store, connection, realm, wanted)
            public = {name: said[name] for name in ("version", "grant", "consent", "lease", "test_keys")}
            head = store.log(connection, "released", **facts, **public)
    except RefusedError as error:
        log_refusal(store, "release refused", facts | {"why": error.message})
        raise
    signed = jose.sign({**said, **facts, "head": head.as_text(), "time": store.now}, store.signing, jose.ANSWER)
    return jose.seal(signed.encode("ascii"), jose.read_public(dict(realm.tee_pubkey)))


def _decide(store: Store, connection: Connection, realm: Attested, wanted: Wanted) -> dict[str, Any]:
    """All conditions; what is not allowed by somebody is not allowed."""
    grant_row, grant = _first(
        _grants(store, connection, wanted), lambda row, said: _grant_complaint(store, realm, row, said), "the owner"
    )
    consent_row, consent = _first(
        _consents(store, connection, wanted), lambda row, said: _complaint(store, realm, row, said), "the user"
    )
    version = newest_version(connection, wanted.owner, wanted.model)
    if version < grant.min_version:
        words = f"the newest version is {version or 'none'}, and the grant asks for {grant.min_version} at least"
        raise RefusedError(words, ABSENT)
    key = _model_key(store, connection, realm, wanted, version)
    once = (RELEASES.c.nonce == realm.nonce) & (RELEASES.c.owner == wanted.owner) & (RELEASES.c.model == wanted.model)
    if connection.execute(sa.select(RELEASES.c.nonce).where(once)).first():
        raise RefusedError("this session has had that key already: each needs a fresh token")
    signing = None if realm.signing_pubkey is None else jose.canonical(realm.signing_pubkey).decode()
    connection.execute(
        sa.insert(RELEASES).values(
            nonce=realm.nonce, owner=wanted.owner, model=wanted.model, version=version, signing_jwk=signing
        )
    )
    request_key = None
    if consent_row["request_key"] is not None:
        request_key = jose.to_text(store.keyring.unseal(consent_row["request_key"], f"request key {consent.jti}"))
    return {
        "key": jose.to_text(key),
        "request_key": request_key,
        "version": version,
        "min_version": grant.min_version,
        "grant": grant.jti,
        "consent": consent.jti,
        "lease": _debit(store, connection, grant_row, grant),
        "test_keys": list(realm.test_keys),
    }


def _grants(store: Store, connection: Connection, wanted: Wanted) -> Iterator[tuple[RowMapping, Grant]]:
    """Every grant of that model to that user, with what its owner has signed."""
    owner = connection.execute(sa.select(OWNERS.c.id).where(OWNERS.c.id == wanted.owner)).first()
    if owner is None:
        raise RefusedError("there is no such owner", ABSENT)
    which = (GRANTS.c.owner == wanted.owner) & (GRANTS.c.model == wanted.model) & (GRANTS.c.user == wanted.user)
    for row in connection.execute(sa.select(GRANTS).where(which).order_by(GRANTS.c.id)).mappings():
        store.check(row["mark"], consent_text(row))
        if row["revoked"] is not None:
            continue
        kid = jose.signer(row["statement"])
        signer = find_owner(store, connection, kid)
        if signer is None or signer["id"] != wanted.owner or kid == signer["recovery"]:
            raise RefusedError("a grant that is not signed by its owner")
        key = jose.read_public(jose.strict_json(signer["jwk"].encode()))
        said = parse(jose.checked(row["statement"], key, jose.STATEMENT))
        named = isinstance(said, Grant) and jose.identity(jose.read_public(said.user.model_dump()))
        if not isinstance(said, Grant) or (said.jti, said.model, named) != (row["id"], wanted.model, wanted.user):
            raise RefusedError("a grant that is not what its owner has signed")
        yield row, said


def _consents(store: Store, connection: Connection, wanted: Wanted) -> Iterator[tuple[RowMapping, Consent]]:
    """Every consent of that user for that model, with what he has signed."""
    granted = (GRANTS.c.owner == wanted.owner) & (GRANTS.c.model == wanted.model) & (GRANTS.c.user == wanted.user)
    statement = connection.execute(sa.select(GRANTS.c.statement).where(granted)).scalars().first()
    which = (CONSENTS.c.owner == wanted.owner) & (CONSENTS.c.model == wanted.model) & (CONSENTS.c.user == wanted.user)
    for row in connection.execute(sa.select(CONSENTS).where(which).order_by(CONSENTS.c.id)).mappings():
        store.check(row["mark"], consent_text(row))
        if row["revoked"] is not None:
            continue
        said = parse(jose.checked(row["statement"], granted_user(str(statement), wanted.user), jose.STATEMENT))
        if (
            not isinstance(said, Consent)
            or said.jti != row["id"]
            or (said.owner, said.model) != (wanted.owner, wanted.model)
        ):
            raise RefusedError("a consent that is not what its user has signed")
        yield row, said


def _first(
    found: Iterator[tuple[RowMapping, Said]], complaint: Callable[[RowMapping, Said], str | None], who: str
) -> tuple[RowMapping, Said]:
    """The first that is as it must be, looking at all of them; raises RefusedError with what is wrong with the last."""
    words = f"{who} has not consented"
    for row, said in found:
        wrong = complaint(row, said)
        if wrong is None:
            return row, said
        words = f"{who} has not consented to this: {wrong}"
    raise RefusedError(words)


def _complaint(store: Store, realm: Attested, _row: RowMapping, said: Grant | Consent) -> str | None:
    """What is wrong with a consent of either party."""
    if said.expires < store.now:
        return "that has expired"
    if said.rim != realm.rim:
        return f"that is for the measurement {said.rim}"
    return None


def _grant_complaint(store: Store, realm: Attested, row: RowMapping, said: Grant) -> str | None:
    """What is wrong with an owner's consent, its conditions included."""
    if words := _complaint(store, realm, row, said):
        return words
    if said.not_before is not None and store.now < said.not_before:
        return "that has not begun"
    if said.rpv not in (None, realm.rpv):
        return "that is for another personalization value"
    if said.rem and any(right not in (None, found) for right, found in zip(said.rem, realm.rem, strict=True)):
        return "that is for other extensible measurements"
    if said.quota is not None and row["used"] >= said.quota:
        return f"its {said.quota} inferences are used up"
    return None


def _model_key(store: Store, connection: Connection, realm: Attested, wanted: Wanted, version: int) -> bytes:
    """The newest key; older ones are not handed out, so that nobody can have a realm go back."""
    which = (MODEL_KEYS.c.owner == wanted.owner) & (MODEL_KEYS.c.model == wanted.model)
    row = connection.execute(sa.select(MODEL_KEYS).where(which & (MODEL_KEYS.c.version == version))).mappings().one()
    if row["production"] and realm.test_keys:
        raise RefusedError(f"a production key, and the realm is vouched for by {' and '.join(realm.test_keys)}")
    return store.keyring.unseal(row["sealed"], key_label(wanted.owner, wanted.model, version))


def _debit(store: Store, connection: Connection, row: RowMapping, grant: Grant) -> int | None:
    """Take a lease off the grant's quota; returns how many inferences it is good for, None if there is no limit."""
    if grant.quota is None:
        return None
    used_before = int(row["used"])
    lease = min(grant.lease, grant.quota - used_before)
    used = used_before + lease
    mark = store.mark(consent_text({**row, "used": used}))
    connection.execute(sa.update(GRANTS).where(GRANTS.c.id == grant.jti).values(used=used, mark=mark))
    return lease


def note_deletion(store: Store, text: str) -> str:
    """Evidence of a realm that it has wiped a model and its key; returns the end of the log. Raises RefusedError."""
    said = read(Deletion, jose.unverified(text))
    which = (
        (RELEASES.c.nonce == said.nonce)
        & (RELEASES.c.owner == said.owner)
        & (RELEASES.c.model == said.model)
        & (RELEASES.c.version == said.version)
    )
    with store.writing() as connection:
        row = connection.execute(sa.select(RELEASES).where(which)).mappings().first()
        if row is None or row["signing_jwk"] is None:
            raise RefusedError("nothing was released to a realm with that key", ABSENT)
        jose.checked(text, jose.read_public(jose.strict_json(row["signing_jwk"].encode())), jose.DELETION)
        if row["deleted"] is not None:
            raise RefusedError("that deletion was told before")
        connection.execute(sa.update(RELEASES).where(which).values(deleted=store.now))
        return store.log(connection, "deleted", evidence=text, **said.model_dump()).as_text()
