# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, of two replicas on one state: nothing is released that nobody allowed, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from key_parties import SEAL_KEY, Parties
from postgres import installed, server
from starlette.testclient import TestClient

from orchestrator.service import audit
from orchestrator.service.client import Realm
from orchestrator.service.http import application
from orchestrator.service.refusal import RefusedError
from orchestrator.service.store import open_store
from orchestrator.service.tables import GRANTS

CLIENTS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def parties(request: pytest.FixtureRequest, tmp_path: Path) -> Parties:
    if request.param == "sqlite":
        return Parties(f"sqlite:///{tmp_path}/state.db")
    return Parties(request.getfixturevalue("postgresql"))


@pytest.fixture
def postgresql() -> Iterator[str]:
    if not installed():
        pytest.skip("the package postgresql is not installed")
    with server() as url:
        yield url


def replicas(parties: Parties, count: int = 2) -> list[Any]:
    """Applications that share nothing but the state."""
    stores = [open_store(parties.url, SEAL_KEY, parties.clock) for _ in range(count)]
    return [application(store, parties.policy, parties.rate) for store in stores]


def realms(parties: Parties, number: int) -> Iterator[Realm]:
    apps = replicas(parties)
    model = parties.realm()
    for each in range(number):
        yield Realm(TestClient(apps[each % len(apps)], base_url="http://x"), parties.service, model.attester)


def at_once(jobs: list[Callable[[], Any]]) -> list[Any]:
    """What jobs give that begin together; refusals are given, not raised."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return job()
        except RefusedError as error:
            return error.message

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def whole_log(parties: Parties) -> list[dict[str, Any]]:
    with parties.store.reading() as connection:
        return audit.verify(audit.lines(connection), parties.service.signing, audit.head(connection))


def test_a_quota_is_never_exceeded(parties: Parties) -> None:
    """As many leases are out as the quota has, to the last inference, and the log tells of each."""
    parties.ready(quota=35, lease=10)
    user, owner = parties.user.id, parties.owner.id
    found = at_once([lambda each=each: each.key(owner, "model", user)["lease"] for each in realms(parties, CLIENTS)])
    leases = [each for each in found if isinstance(each, int)]
    assert sorted(leases) == [5, 10, 10, 10]
    assert {each for each in found if isinstance(each, str)} == {
        "the owner has not consented to this: its 35 inferences are used up"
    }
    entries = whole_log(parties)
    released = [each["facts"]["lease"] for each in entries if each["event"] == "released"]
    assert sorted(released) == sorted(leases)
    assert sum(each["event"] == "release refused" for each in entries) == CLIENTS - 4
    with parties.store.reading() as connection:
        assert connection.execute(sa.select(GRANTS.c.used)).scalar_one() == 35


def test_a_session_is_served_once_by_all_replicas(parties: Parties) -> None:
    parties.ready(quota=100, lease=10)
    user, owner = parties.user.id, parties.owner.id
    first = parties.realm()
    nonce = first.begin()["nonce"]
    first.attest(nonce)
    apps, jobs = replicas(parties), []
    for number in range(CLIENTS):
        http = TestClient(apps[number % 2], base_url="http://x", cookies=dict(first.http.cookies))
        same = Realm(http, first.service, first.attester, first.tee_key)
        jobs.append(lambda same=same: same.fetch(owner, "model", user, nonce)["lease"])
    found = at_once(jobs)
    assert found.count(10) == 1
    assert found.count("this session has had that key already: each needs a fresh token") == CLIENTS - 1
    whole_log(parties)


def test_one_statement_is_carried_out_once_by_all_replicas(parties: Parties) -> None:
    parties.put()
    owner = parties.owner
    text = owner.signed(op="put-key", model="m", version=1, key=sealed(parties), production=False)
    apps = replicas(parties)
    parties_ = [
        type(owner)(TestClient(apps[each % 2], base_url="http://x"), owner.service, owner.key)
        for each in range(CLIENTS)
    ]
    found = at_once([lambda each=each: each.send(text)["version"] for each in parties_])
    assert found.count(1) == 1
    assert found.count("the statement was carried out before") == CLIENTS - 1
    # The same version, stated anew by each: one of them has it.
    found = at_once([lambda each=each: each.put_key("m", 2, b"\1" * 32)["version"] for each in parties_])
    assert found.count(2) == 1
    assert found.count("version 3 of m is due, not 2") == CLIENTS - 1
    whole_log(parties)


def sealed(parties: Parties) -> dict[str, str]:
    from orchestrator.service import jose

    return jose.seal(b"\2" * 32, parties.service.encryption)


def test_after_a_revocation_nothing_is_released(parties: Parties) -> None:
    """Whatever is released stands before the revocation in the log."""
    parties.put()
    grant = parties.grant()
    parties.consent()
    user, owner = parties.user.id, parties.owner.id
    jobs: list[Callable[[], Any]] = [
        lambda each=each: each.key(owner, "model", user)["version"] for each in realms(parties, CLIENTS)
    ]
    party = parties.owner
    jobs.append(lambda: party.state(op="revoke", id=grant)["revoked"])
    found = at_once(jobs)
    assert found[-1] == grant
    events = [each["event"] for each in whole_log(parties)]
    revoked = events.index("revoke")
    assert events[:revoked].count("released") == found.count(1)
    assert "released" not in events[revoked:]
    assert events[revoked:].count("release refused") == found.count("the owner has not consented")
    assert found.count(1) + found.count("the owner has not consented") == CLIENTS


def test_grants_that_are_made_at_once_are_all_there(parties: Parties) -> None:
    apps = replicas(parties)
    owner = parties.owner
    from key_parties import DAY

    from orchestrator.service import jose

    terms = {"rim": "11" * 32, "expires": int(parties.clock()) + DAY, "user": jose.public(parties.user_key)}
    parties_ = [
        type(owner)(TestClient(apps[each % 2], base_url="http://x"), owner.service, owner.key)
        for each in range(CLIENTS)
    ]
    found = at_once([lambda each=each: each.state(op="grant", model="model", **terms)["id"] for each in parties_])
    assert {each["id"] for each in owner.state(op="list")["grants"]} == set(found)
    assert len(set(found)) == CLIENTS
    assert len(whole_log(parties)) == 1 + CLIENTS
