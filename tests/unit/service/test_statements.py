# SPDX-License-Identifier: Apache-2.0
"""What owners and users state: who may, once, for this service, and in time; and how a lost key is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from cca_vectors import RIM
from key_parties import DAY, MODEL_KEY, Parties, make

from orchestrator.service import jose
from orchestrator.service.client import talk
from orchestrator.service.refusal import RefusedError


@pytest.fixture
def parties(tmp_path: Path) -> Parties:
    return make(tmp_path)


def test_who_nobody_knows_is_not_listened_to(parties: Parties) -> None:
    """There is no registration: owners are made with the service, users are named by owners."""
    stranger = parties.party(parties.other_key)
    for said in ({"op": "list"}, {"op": "audit"}, {"op": "revoke", "id": "A" * 22}):
        with pytest.raises(RefusedError, match="nobody here has that key") as caught:
            stranger.state(**said)
        assert caught.value.status == 401


def test_users_do_what_is_theirs(parties: Parties) -> None:
    grant = parties.grant()
    user = parties.user
    sealed = jose.seal(MODEL_KEY, parties.service.encryption)
    terms = {"rim": RIM.hex(), "expires": int(parties.clock()) + DAY, "user": jose.public(parties.user_key)}
    for said in (
        {"op": "put-key", "model": "model", "version": 1, "key": sealed, "production": False},
        {"op": "grant", "model": "model", **terms},
        {"op": "audit"},
    ):
        with pytest.raises(RefusedError, match="for an owner to state"):
            user.state(**said)
    with pytest.raises(RefusedError, match="no such consent of this party"):
        user.state(op="revoke", id=grant)
    with pytest.raises(RefusedError, match="has not granted this model"):
        parties.consent("model2")


def test_an_owner_is_no_user(parties: Parties) -> None:
    for key in (parties.owner_key, parties.recovery_key):
        with pytest.raises(RefusedError, match="an owner's key is no user's"):
            parties.grant(user=key)


def test_the_recovery_key_does_one_thing_only(parties: Parties) -> None:
    with pytest.raises(RefusedError, match="for an owner to state"):
        parties.recovery.put_key("model", 1, MODEL_KEY)
    grant = parties.grant()
    with pytest.raises(RefusedError, match="no such consent"):
        parties.recovery.state(op="revoke", id=grant)


def test_a_statement_is_carried_out_once(parties: Parties) -> None:
    """Who sends a recorded grant again after it was revoked changes nothing."""
    text = parties.owner.signed(
        op="grant",
        model="model",
        rim=RIM.hex(),
        expires=int(parties.clock()) + DAY,
        user=jose.public(parties.user_key),
    )
    grant = parties.owner.send(text)["id"]
    parties.owner.state(op="revoke", id=grant)
    with pytest.raises(RefusedError, match="carried out before"):
        parties.owner.send(text)
    parties.clock.ahead = 1000
    with pytest.raises(RefusedError, match="not of these 600 s"):
        parties.owner.send(text)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"aud": "A" * 43}, "meant for another service"),
        ({"iat": 0, "exp": 1}, "not of these 600 s"),
        ({"exp": 2**39}, "not of these 600 s"),
        ({"jti": "short"}, "jti: String should match"),
        ({"op": "open\x1b"}, "message: expected "),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"op": "grant", "model": "a/b"}, "model: String should match"),
        ({"op": "grant", "rim": "AB" * 32}, "rim: String should match"),
        ({"op": "grant", "quota": 0}, "quota: Input should be greater"),
        ({"op": "grant", "quota": True}, "quota: Input should be a valid integer"),
        ({"op": "put-key", "key": {}}, "protected: Field required"),
    ],
)
def test_statements_that_are_none(parties: Parties, said: dict[str, Any], words: str) -> None:
    terms: dict[str, Any] = {"op": "list"}
    if said.get("op") == "grant":
        terms = {"model": "m", "rim": RIM.hex(), "expires": 2**31, "user": jose.public(parties.user_key)}
    elif said.get("op") == "put-key":
        terms = {"model": "m", "version": 1, "production": False}
    with pytest.raises(RefusedError, match=words):
        parties.owner.send(parties.owner.signed(**(terms | said)))


def test_signatures(parties: Parties) -> None:
    owner = parties.owner
    good = owner.signed(op="list")
    head, payload, signature = good.split(".")
    other = jose.sign(jose.unverified(good), parties.other_key, jose.STATEMENT)
    answer = jose.sign(jose.unverified(good), parties.owner_key, jose.ANSWER)
    none = jose.to_text(b'{"alg":"none","typ":"orch-statement+jws","kid":"' + owner.id.encode() + b'"}')
    mac = jose.to_text(b'{"alg":"HS256","typ":"orch-statement+jws","kid":"' + owner.id.encode() + b'"}')
    borrowed = f"{head}.{other.split('.')[1]}.{other.split('.')[2]}"
    for text, words in (
        (borrowed, "signature does not hold"),
        (answer, "signed for another use"),
        (f"{none}.{payload}.", "signature does not hold"),
        (f"{mac}.{payload}.{signature}", "signature does not hold"),
        (f"{head}.{payload}", "no signed message"),
        (f"{head}.{payload}.{'A' * len(signature)}", "signature does not hold"),
        ("", "no signed message"),
        (other, "nobody here has that key"),
    ):
        with pytest.raises(RefusedError, match=words):
            talk(owner.http, "POST", "/keys/v0/statement", content=text)


def test_answers_are_the_services(parties: Parties) -> None:
    """A man in the middle cannot say that something was carried out."""
    owner = parties.owner
    forged = jose.sign({"to": "x"}, parties.other_key, jose.ANSWER)

    beside: dict[str, Any] = {}

    class Middle:
        base_url = "x"

        def request(self, *_arguments: Any, **_options: Any) -> Any:
            return httpx2.Response(200, json={"answer": forged, **beside})

    with pytest.raises(RefusedError, match="signature does not hold"):
        type(owner)(Middle(), owner.service, owner.key).state(op="list")
    statement = owner.signed(op="list")
    whole = owner.http.post("/keys/v0/statement", content=statement).json()
    forged = whole["answer"]
    with pytest.raises(RefusedError, match="one to another statement"):
        type(owner)(Middle(), owner.service, owner.key).state(op="list")
    for found in (None, whole["found"] | {"grants": [1]}):
        beside = {"found": found}
        with pytest.raises(RefusedError, match="beside the answer is not what the service has signed"):
            type(owner)(Middle(), owner.service, owner.key).send(statement)
    beside = {"found": whole["found"]}
    assert type(owner)(Middle(), owner.service, owner.key).send(statement)["models"] == []


def test_a_long_log_is_read_whole(parties: Parties) -> None:
    for _ in range(150):
        parties.grant()
    assert len(parties.owner.state(op="list")["grants"]) == 150
    assert len(parties.owner.state(op="audit")["entries"]) == 151


def test_keys_that_do_not_open_or_fit(parties: Parties) -> None:
    sealed_to_other = jose.seal(MODEL_KEY, parties.other_key)
    for key in (sealed_to_other, jose.seal(b"short", parties.service.encryption)):
        with pytest.raises(RefusedError, match=r"does not open|16 to 64 bytes"):
            parties.owner.state(op="put-key", model="model", version=1, key=key, production=False)


def test_lists(parties: Parties) -> None:
    parties.ready(quota=10, lease=4)
    parties.fetch()
    found = parties.owner.state(op="list")
    assert found["models"] == [{"model": "model", "version": 1, "production": False}]
    assert [(each["used"], each["quota"], each["revoked"]) for each in found["grants"]] == [(4, 10, None)]
    mine = parties.user.state(op="list")
    assert (mine["owner"], len(mine["grants"]), len(mine["consents"])) == (None, 1, 1)
    assert MODEL_KEY.hex() not in str(found)


def test_revoking_twice_is_no_harm(parties: Parties) -> None:
    grant = parties.grant()
    for _ in range(2):
        parties.owner.state(op="revoke", id=grant)
    assert [each["id"] for each in parties.owner.state(op="list")["grants"]] == [grant]


def test_a_lost_owner_key(parties: Parties) -> None:
    """The procedure of docs/keys.md: the recovery key names two new ones; grants end, models and their keys stay."""
    parties.ready()
    old, new, recovery = parties.owner_key, jose.make_key(), jose.make_key()
    owner = parties.owner.id
    parties.recovery.state(op="replace-owner", key=jose.public(new), recovery=jose.public(recovery))
    with pytest.raises(RefusedError, match="nobody here has that key"):
        parties.party(old).state(op="list")
    with pytest.raises(RefusedError, match="nobody here has that key"):
        parties.recovery.state(op="list")
    user = jose.identity(parties.user_key)
    with pytest.raises(RefusedError, match="the owner has not consented"):
        parties.realm().key(owner, "model", user)
    terms = {"rim": RIM.hex(), "expires": int(parties.clock()) + DAY, "user": jose.public(parties.user_key)}
    parties.party(new).state(op="grant", model="model", **terms)
    assert jose.to_bytes(parties.realm().key(owner, "model", user)["key"]) == MODEL_KEY
    parties.party(new).put_key("model", 2, b"\x0e" * 32)
    parties.party(recovery).state(
        op="replace-owner", key=jose.public(jose.make_key()), recovery=jose.public(jose.make_key())
    )


def test_an_owner_is_not_replaced_by_herself_or_by_others(parties: Parties) -> None:
    parties.grant()
    fresh = jose.public(jose.make_key())
    said = {"op": "replace-owner", "key": fresh, "recovery": jose.public(jose.make_key())}
    for party in (parties.owner, parties.user):
        with pytest.raises(RefusedError, match="for an owner's recovery key to state"):
            party.state(**said)
    for key, recovery in (
        (fresh, fresh),
        (jose.public(parties.user_key), fresh),
        (jose.public(parties.owner_key), fresh),
        (fresh, jose.public(parties.recovery_key)),
    ):
        with pytest.raises(RefusedError, match="not two that nobody has here"):
            parties.recovery.state(op="replace-owner", key=key, recovery=recovery)
