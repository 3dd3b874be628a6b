# SPDX-License-Identifier: Apache-2.0
"""A key service with an owner, two users and realms that make tokens of their own: for tests in one process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from cca_vectors import PLATFORM_KEY, RIM, Vector, pem
from joserfc.jwk import ECKey
from starlette.testclient import TestClient

from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.service import jose
from orchestrator.service.client import Known, Party, Realm
from orchestrator.service.http import Rate, application
from orchestrator.service.store import Store, create, open_store

SEAL_KEY = b"\x5e" * 32
POLICY = AttestationPolicy.model_validate(
    {"name": "keys", "required": [], "platform": {"keys": [{"name": "ours", "pem": pem(PLATFORM_KEY)}]}}
)
MODEL_KEY = b"\x0b" * 32
DAY = 86_400


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Parties:
    """All of them; `http` is a client of the service, and has no cookies of others."""

    url: str
    clock: Clock = field(default_factory=Clock)
    owner_key: ECKey = field(default_factory=jose.make_key)
    recovery_key: ECKey = field(default_factory=jose.make_key)
    user_key: ECKey = field(default_factory=jose.make_key)
    other_key: ECKey = field(default_factory=jose.make_key)
    policy: AttestationPolicy = POLICY
    rate: Rate = field(default_factory=lambda: Rate(rate=1e6, burst=1e6))

    def __post_init__(self) -> None:
        owners = {"owner": (jose.public(self.owner_key), jose.public(self.recovery_key))}
        create(self.url, SEAL_KEY, owners)
        self.store: Store = open_store(self.url, SEAL_KEY, self.clock)
        self.app = application(self.store, self.policy, self.rate)
        self.service = Known.parse(self.store.public())

    def http(self) -> httpx2.Client:
        return TestClient(self.app, base_url="http://keys.test", raise_server_exceptions=True)

    def party(self, key: ECKey) -> Party:
        return Party(self.http(), self.service, key, self.clock)

    @property
    def owner(self) -> Party:
        return self.party(self.owner_key)

    @property
    def recovery(self) -> Party:
        return self.party(self.recovery_key)

    @property
    def user(self) -> Party:
        return self.party(self.user_key)

    def realm(self, rim: bytes = RIM, **changes: Any) -> Realm:
        def attester(challenge: bytes) -> bytes:
            return Vector(realm={10: challenge, 44238: rim}, **changes).bytes()

        return Realm(self.http(), self.service, attester)

    # --- what most tests begin with ---

    def put(self, model: str = "model", key: bytes = MODEL_KEY, *, version: int = 1, production: bool = False) -> None:
        self.owner.put_key(model, version, key, production=production)

    def grant(self, model: str = "model", user: ECKey | None = None, **terms: Any) -> str:
        expires = int(self.clock()) + DAY
        said = {"rim": RIM.hex(), "expires": expires, "user": jose.public(user or self.user_key)} | terms
        return str(self.owner.state(op="grant", model=model, **said)["id"])

    def consent(self, model: str = "model", key: ECKey | None = None, **terms: Any) -> str:
        said = {"rim": RIM.hex(), "expires": int(self.clock()) + DAY, "owner": self.owner.id} | terms
        return str(self.party(key or self.user_key).state(op="consent", model=model, **said)["id"])

    def fetch(self, realm: Realm | None = None, model: str = "model", user: ECKey | None = None) -> dict[str, Any]:
        return (realm or self.realm()).key(self.owner.id, model, jose.identity(user or self.user_key))

    def ready(self, **terms: Any) -> None:
        self.put()
        self.grant(**terms)
        self.consent()


def make(folder: Path, **changes: Any) -> Parties:
    return Parties(f"sqlite:///{folder}/state.db", **changes)
