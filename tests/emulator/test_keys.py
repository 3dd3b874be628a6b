# SPDX-License-Identifier: Apache-2.0
"""The key service and a realm that runs: its own token, its own measurement; what a realm does is done here for it.

The realm's side is played by the model of it (service/client.py); tokens come from the realm's kernel.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulated import Bed
from reports import fetch
from starlette.testclient import TestClient

from orchestrator.attest.policies import read_policy
from orchestrator.service import audit, jose
from orchestrator.service.client import Party, Realm
from orchestrator.service.home import Home
from orchestrator.service.http import application
from orchestrator.service.refusal import RefusedError

DAY = 86_400
KEY = b"\x0b" * 32


@pytest.fixture(scope="module")
def bed(module_bed: Bed) -> Bed:
    done = module_bed.orch("up", "--realm", timeout=600)
    assert done.returncode == 0, done.stderr
    return module_bed


class Scene:
    """A service with an owner and a user of its own, and one realm."""

    def __init__(self, folder: Path, bed: Bed) -> None:
        self.home, self.bed = Home(folder / "state", folder / "keys"), bed
        self.store = self.home.make()
        self.app = application(self.store, read_policy(None))
        measured = bed.orch("measure", "--json", timeout=300)
        assert measured.returncode == 0, measured.stderr
        self.rim = json.loads(measured.stdout)["rim"]
        self.owner, self.user = (jose.identity(self.home.identity(name)) for name in ("owner", "user"))

    def state(self, name: str, **said: Any) -> dict[str, Any]:
        return Party(TestClient(self.app), self.home.service(), self.home.identity(name)).state(**said)

    def both(self, rim: str) -> None:
        terms = {"model": "model", "rim": rim, "expires": int(time.time()) + DAY}
        self.state("owner", op="grant", user=jose.public(self.home.identity("user")), quota=10, lease=10, **terms)
        self.state("user", op="consent", owner=self.owner, **terms)

    def put(self, version: int, *, production: bool) -> None:
        sealed = jose.seal(KEY, self.home.service().encryption)
        self.state("owner", op="put-key", model="model", version=version, key=sealed, production=production)

    def realm(self, attester: Callable[[bytes], bytes] | None = None) -> Realm:
        return Realm(TestClient(self.app), self.home.service(), attester or self.token)

    def token(self, challenge: bytes) -> bytes:
        return base64.b64decode(self.bed.ask("realm", fetch("keys", challenge)).stdout)

    def key(self, realm: Realm) -> dict[str, Any]:
        return realm.key(self.owner, "model", self.user)


@pytest.fixture
def scene(tmp_path: Path, bed: Bed) -> Scene:
    return Scene(tmp_path, bed)


def test_a_key_for_a_realm_that_both_have_named(scene: Scene) -> None:
    scene.put(1, production=False)
    scene.both(scene.rim)
    realm = scene.realm()
    answer = scene.key(realm)
    assert jose.to_bytes(answer["key"]) == KEY
    assert (answer["rim"], answer["lease"]) == (scene.rim, 10)
    assert answer["test_keys"] == ["tf-a-qemu-platform", "tf-a-qemu-realm"]
    realm.tell_deletion(answer, 3)
    with pytest.raises(RefusedError, match="10 inferences are used up"):
        scene.key(scene.realm())
    with scene.store.reading() as connection:
        entries = audit.verify(audit.lines(connection), scene.home.service().signing)
    events = [each["event"] for each in entries]
    assert events[-5:] == ["attested", "released", "deleted", "attested", "release refused"]


def test_a_production_key_is_not_for_this_machine(scene: Scene) -> None:
    scene.put(1, production=True)
    scene.both(scene.rim)
    with pytest.raises(RefusedError, match="a production key, and the realm is vouched for by tf-a-qemu-platform"):
        scene.key(scene.realm())


def test_a_realm_that_nobody_has_named(scene: Scene) -> None:
    scene.put(1, production=False)
    scene.both("00" * 32)
    with pytest.raises(RefusedError, match="has not consented to this: that is for the measurement 0000"):
        scene.key(scene.realm())


def test_a_token_of_another_session(scene: Scene) -> None:
    scene.put(1, production=False)
    scene.both(scene.rim)
    tokens: list[bytes] = []

    def replaying(challenge: bytes) -> bytes:
        tokens.append(tokens[0] if tokens else scene.token(challenge))
        return tokens[-1]

    scene.key(scene.realm(replaying))
    with pytest.raises(RefusedError, match="challenge: not the one that was asked for"):
        scene.key(scene.realm(replaying))
