# SPDX-License-Identifier: Apache-2.0
"""Request, challenge, attestation: a realm asks for a nonce, and proves itself with a token made for it."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from orchestrator.attest.appraise import References
from orchestrator.attest.claims import Label
from orchestrator.attest.token import parse
from orchestrator.attest.verify import verify
from orchestrator.errors import AttestationError
from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.schema.keys import AttestationRequest, AuthRequest, TeePublicKey
from orchestrator.service import jose
from orchestrator.service.refusal import MALFORMED, TOO_MANY, UNATTESTED, RefusedError
from orchestrator.service.store import Store, log_refusal
from orchestrator.service.tables import SESSIONS

SECONDS = 300
"""How long a session lives, from its nonce on."""
MAX_SESSIONS = 10_000
"""That are open at a time."""
VERSION = "0.4.0"
"""Of the key broker protocol that is spoken; others of 0.x are answered as well."""


@dataclass(frozen=True)
class Attested:
    """What a realm has proved in a session: its measurements, the keys that it made, and what vouches for it."""

    nonce: str
    expires: int
    rim: str
    rem: tuple[str, ...]
    rpv: str
    tee_pubkey: dict[str, str]
    signing_pubkey: dict[str, str] | None
    test_keys: tuple[str, ...]

    def as_text(self) -> str:
        """For the database."""
        return json.dumps(self.__dict__)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The other way."""
        found: dict[str, Any] = json.loads(text)
        return cls(**found | {name: tuple(found[name]) for name in ("rem", "test_keys")})


def begin(store: Store, _request: AuthRequest) -> tuple[str, dict[str, Any]]:
    """A new session: its cookie, and the challenge. Raises RefusedError if there are too many."""
    cookie, nonce, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), store.now
    with store.writing() as connection:
        connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.expires < now))
        if connection.execute(sa.select(sa.func.count()).select_from(SESSIONS)).scalar_one() >= MAX_SESSIONS:
            raise RefusedError(f"{MAX_SESSIONS} sessions are open: try again in a while", TOO_MANY)
        connection.execute(sa.insert(SESSIONS).values(id=_name(cookie), nonce=nonce, expires=now + SECONDS))
    return cookie, {"nonce": nonce, "extra-params": {"hash-algorithm": "sha-512", "service": store.id}}


def attest(store: Store, policy: AttestationPolicy, cookie: str, request: AttestationRequest, data: Any) -> str:
    """Verify a realm's token; returns a signed one for the session. `data` is the runtime data as it came.

    Raises RefusedError. The nonce is good for one success, and each failure is written down.
    """
    nonce = _open(store, cookie, attested=False).nonce
    try:
        attested = _verified(store, policy, request, data, nonce)
    except AttestationError as error:
        log_refusal(store, "attestation refused", {"nonce": nonce, "why": error.message})
        raise RefusedError(error.message, getattr(error, "status", UNATTESTED)) from None
    with store.writing() as connection:
        which = (SESSIONS.c.id == _name(cookie)) & SESSIONS.c.attested.is_(None) & (SESSIONS.c.expires >= store.now)
        if connection.execute(sa.update(SESSIONS).where(which).values(attested=attested.as_text())).rowcount != 1:
            raise RefusedError("the session is over, or has attested already: a nonce serves once", UNATTESTED)
        facts = {"nonce": nonce, "rim": attested.rim, "test_keys": list(attested.test_keys)}
        store.log(connection, "attested", **facts)
    claims = {"session": cookie, "exp": attested.expires, "rim": attested.rim, "tee-pubkey": attested.tee_pubkey}
    return jose.sign({"iss": store.id, **claims}, store.signing, jose.SESSION)


def _verified(store: Store, policy: AttestationPolicy, request: AttestationRequest, data: Any, nonce: str) -> Attested:
    if request.runtime_data.nonce != nonce:
        raise RefusedError("the runtime data have another nonce than this session", UNATTESTED)
    key, signing = request.runtime_data.tee_pubkey, request.runtime_data.signing_pubkey
    for each in (key, signing):
        if each is not None:
            jose.read_public(each.model_dump())
    token = jose.to_bytes(request.tee_evidence.primary_evidence.token)
    challenge = hashlib.sha512(jose.canonical(data)).digest()
    # Which measurement is right, owner and user say; that it is fresh, nobody but the service can.
    asked = policy.model_copy(update={"required": [*({*policy.required} - {"rim"} | {"challenge"})]})
    verdict = verify(token, asked, References(challenge))
    if not verdict.accepted:
        raise RefusedError("; ".join(verdict.reasons), UNATTESTED)
    realm = parse(token).realm.claims
    return Attested(
        nonce=nonce,
        expires=store.now + SECONDS,
        rim=realm[Label.RIM].hex(),
        rem=tuple(each.hex() for each in realm[Label.REMS]),
        rpv=realm[Label.RPV].hex(),
        tee_pubkey=_plain(key),
        signing_pubkey=signing.model_dump() if signing else None,
        test_keys=tuple(each.key.name for each in verdict.test_keys),
    )


def _plain(key: TeePublicKey) -> dict[str, str]:
    return {name: value for name, value in key.model_dump().items() if name != "alg"}


def bearer(store: Store, token: str) -> str:
    """The cookie that a session's token stands for; raises RefusedError."""
    claims = jose.checked(token, store.signing, jose.SESSION)
    return str(claims["session"])


@dataclass(frozen=True)
class _Session:
    nonce: str
    attested: Attested | None


def attested(store: Store, cookie: str) -> Attested:
    """What the realm of a session has proved; raises RefusedError if it has not, or if the session is over."""
    found = _open(store, cookie, attested=True).attested
    assert found is not None  # noqa: S101
    return found


def _open(store: Store, cookie: str, *, attested: bool) -> _Session:
    if not cookie:
        raise RefusedError("no session: POST /kbs/v0/auth begins one", UNATTESTED)
    if not cookie.isascii() or len(cookie) > 64:
        raise RefusedError("no session's cookie", MALFORMED)
    which = (SESSIONS.c.id == _name(cookie)) & (SESSIONS.c.expires >= store.now)
    with store.reading() as connection:
        row = connection.execute(sa.select(SESSIONS.c.nonce, SESSIONS.c.attested).where(which)).first()
    if row is None:
        raise RefusedError("there is no such session, or it is over", UNATTESTED)
    if (row.attested is not None) != attested:
        words = "the session has attested already" if row.attested else "the session has not attested"
        raise RefusedError(words, UNATTESTED)
    return _Session(str(row.nonce), Attested.from_text(row.attested) if row.attested else None)


def _name(cookie: str) -> str:
    """A session's id: who reads the database does not learn the cookie."""
    return hashlib.sha256(cookie.encode("ascii")).hexdigest()
