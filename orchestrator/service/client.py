# SPDX-License-Identifier: Apache-2.0
"""Those who speak with a key service: owners and users, who sign what they state, and realms, as a model of these.

Each knows the service's public keys beforehand, and believes nothing that is not signed with them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from joserfc.jwk import ECKey

from orchestrator.errors import EnvError
from orchestrator.service import jose
from orchestrator.service.refusal import RefusedError
from orchestrator.service.sessions import VERSION

Attester = Callable[[bytes], bytes]
"""A token for a challenge of 64 bytes."""
_SECONDS = 300


def talk(http: httpx2.Client, method: str, path: str, **options: Any) -> Any:
    """The JSON of an answer; raises RefusedError with the service's reason, and EnvError if there is none."""
    try:
        answer = http.request(method, path, **options)
    except httpx2.HTTPError as error:
        raise EnvError(f"{http.base_url}: the key service does not answer: {error}", hint="`orch keys serve`") from None
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code != 200 or not isinstance(found, dict):
        detail = found.get("detail") if isinstance(found, dict) else None
        raise RefusedError(
            str(detail or f"the key service answered with status {answer.status_code}"), answer.status_code
        )
    return found


@dataclass(frozen=True)
class Known:
    """The public keys of a service, as `orch keys init` writes them down."""

    id: str
    signing: ECKey
    encryption: ECKey

    @classmethod
    def parse(cls, table: dict[str, Any]) -> Known:
        """From what `Store.public` gives; raises RefusedError unless the name is that of the key."""
        signing, encryption = (jose.read_public(table[name]) for name in ("signing", "encryption"))
        if table["id"] != jose.identity(signing):
            raise RefusedError("the service's name is not that of its key")
        return cls(str(table["id"]), signing, encryption)


@dataclass(frozen=True)
class Party:
    """An owner, her recovery key, or a user: whoever has the private key.

    `notice` is told the end of the audit log that each answer has, and may raise.
    """

    http: httpx2.Client
    service: Known
    key: ECKey = field(repr=False)
    clock: Callable[[], float] = time.time
    notice: Callable[[str], None] = lambda _head: None

    @property
    def id(self) -> str:
        """The thumbprint of the key."""
        return jose.identity(self.key)

    def signed(self, **said: Any) -> str:
        """A statement, ready to be sent by anybody."""
        now = int(self.clock())
        about = {"aud": self.service.id, "iat": now, "exp": now + _SECONDS, "jti": secrets.token_urlsafe(24)}
        return jose.sign(about | said, self.key, jose.STATEMENT)

    def state(self, **said: Any) -> dict[str, Any]:
        """Have the service carry a statement out; returns its answer. Raises RefusedError."""
        return self.send(self.signed(**said))

    def send(self, statement: str) -> dict[str, Any]:
        """The service's answer to a statement: signed, and to this one."""
        found = talk(self.http, "POST", "/keys/v0/statement", content=statement)
        answer = jose.checked(str(found.get("answer")), self.service.signing, jose.ANSWER)
        if answer.get("to") != jose.unverified(statement)["jti"]:
            raise RefusedError("the answer is one to another statement")
        self.notice(str(answer["head"]))
        if "sha256" not in answer:
            return answer
        if hashlib.sha256(jose.canonical(found.get("found"))).hexdigest() != answer["sha256"]:
            raise RefusedError("what stands beside the answer is not what the service has signed")
        return {"head": answer["head"], **found["found"]}

    def put_key(self, model: str, version: int, key: bytes, *, production: bool = False) -> dict[str, Any]:
        """Deposit the next version of a model's key."""
        sealed = jose.seal(key, self.service.encryption)
        return self.state(op="put-key", model=model, version=version, key=sealed, production=production)


@dataclass(frozen=True)
class Realm:
    """What a realm does to get a model's key; `attester` makes tokens."""

    http: httpx2.Client
    service: Known
    attester: Attester
    tee_key: ECKey = field(default_factory=jose.make_key, repr=False)
    signing_key: ECKey = field(default_factory=jose.make_key, repr=False)

    def begin(self) -> dict[str, Any]:
        """A session's challenge; the cookie is in the client."""
        body = {"version": VERSION, "tee": "cca", "extra-params": {}}
        found: dict[str, Any] = talk(self.http, "POST", "/kbs/v0/auth", json=body)
        return found

    def runtime_data(self, nonce: str) -> dict[str, Any]:
        """What the token is made for: the nonce, and the keys that this realm has made."""
        tee = jose.public(self.tee_key) | {"alg": jose.KEY_AGREEMENT}
        return {"nonce": nonce, "tee-pubkey": tee, "signing-pubkey": jose.public(self.signing_key)}

    def attest(self, nonce: str) -> str:
        """Prove what this realm is; returns the session's token."""
        data = self.runtime_data(nonce)
        token = self.attester(hashlib.sha512(jose.canonical(data)).digest())
        evidence = {"primary_evidence": {"token": jose.to_text(token)}, "additional_evidence": ""}
        body = {"runtime-data": data, "tee-evidence": evidence}
        return str(talk(self.http, "POST", "/kbs/v0/attest", json=body)["token"])

    def fetch(self, owner: str, model: str, user: str, nonce: str) -> dict[str, Any]:
        """A model's key with its lease: for this session, and signed by the service. Raises RefusedError."""
        found = talk(self.http, "GET", f"/kbs/v0/resource/{owner}/model-key/{model}", params={"user": user})
        signed = jose.unseal(found, self.tee_key).decode("ascii")
        answer = jose.checked(signed, self.service.signing, jose.ANSWER)
        wanted = {"nonce": nonce, "owner": owner, "model": model, "user": user}
        if any(answer.get(name) != value for name, value in wanted.items()):
            raise RefusedError("the answer is one to another request")
        return answer

    def key(self, owner: str, model: str, user: str) -> dict[str, Any]:
        """All of it: request, challenge, attestation, response."""
        nonce = str(self.begin()["nonce"])
        self.attest(nonce)
        return self.fetch(owner, model, user, nonce)

    def tell_deletion(self, answer: dict[str, Any], inferences: int) -> str:
        """Evidence that model and key are wiped; returns the end of the audit log."""
        said = {name: answer[name] for name in ("nonce", "owner", "model", "version")} | {"inferences": inferences}
        signed = jose.sign(said, self.signing_key, jose.DELETION)
        return str(talk(self.http, "POST", "/keys/v0/deletion", content=signed)["head"])
