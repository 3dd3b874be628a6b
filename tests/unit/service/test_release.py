# SPDX-License-Identifier: Apache-2.0
"""Who gets a model's key, and who does not: owner and user must both have named what the realm has proved to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cca_vectors import OTHER_KEY, PLATFORM_KEY, REALM_KEY, RIM, RPV
from key_parties import DAY, MODEL_KEY, POLICY, Parties, make

from orchestrator.attest import known
from orchestrator.attest.known import PublicTestKey
from orchestrator.service import audit, jose
from orchestrator.service.refusal import RefusedError

OTHER_RIM = b"\x99" * 32


@pytest.fixture
def parties(tmp_path: Path) -> Parties:
    return make(tmp_path)


def refused(parties: Parties, *arguments: Any, **options: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        parties.fetch(*arguments, **options)
    assert caught.value.exit_code == 5
    with parties.store.reading() as connection:  # and it was written down
        last = audit.verify(audit.lines(connection), parties.service.signing)[-1]
    assert last["event"] in ("release refused", "attestation refused")
    assert last["facts"]["why"] == caught.value.message
    return caught.value.message


def test_with_both_consents(parties: Parties) -> None:
    parties.ready()
    answer = parties.fetch()
    assert jose.to_bytes(answer["key"]) == MODEL_KEY
    assert (answer["version"], answer["lease"], answer["request_key"], answer["test_keys"]) == (1, None, None, [])
    assert answer["rim"] == RIM.hex()


def test_without_anything(parties: Parties) -> None:
    assert refused(parties) == "the owner has not consented"


def test_without_the_owner(parties: Parties) -> None:
    """A user can only consent to what was granted to him; that grant is taken back here."""
    parties.put()
    grant = parties.grant()
    parties.consent()
    parties.owner.state(op="revoke", id=grant)
    assert refused(parties) == "the owner has not consented"


def test_without_the_user(parties: Parties) -> None:
    parties.put()
    parties.grant()
    assert refused(parties) == "the user has not consented"


def test_of_another_owner(parties: Parties) -> None:
    parties.ready()
    with pytest.raises(RefusedError, match="there is no such owner"):
        parties.realm().key("A" * 43, "model", parties.user.id)


def test_for_another_user(parties: Parties) -> None:
    parties.ready()
    assert refused(parties, user=parties.other_key) == "the owner has not consented"


def test_for_another_model(parties: Parties) -> None:
    parties.ready()
    assert refused(parties, model="model2") == "the owner has not consented"


def test_to_another_realm(parties: Parties) -> None:
    parties.ready()
    words = refused(parties, parties.realm(OTHER_RIM))
    assert words == f"the owner has not consented to this: that is for the measurement {RIM.hex()}"


def test_to_a_realm_that_the_owner_alone_has_named(parties: Parties) -> None:
    parties.ready()
    parties.grant(rim=OTHER_RIM.hex())
    words = refused(parties, parties.realm(OTHER_RIM))
    assert words == f"the user has not consented to this: that is for the measurement {RIM.hex()}"


@pytest.mark.parametrize("right", range(4))
def test_every_entry_of_a_list_is_looked_at(parties: Parties, right: int) -> None:
    """First, second, third or last: where a matching consent stands makes no difference."""
    parties.put()
    values = [bytes([0x70 + number]) * 32 for number in range(4)]
    for value in values:
        parties.grant(rim=value.hex())
        parties.consent(rim=value.hex())
    assert jose.to_bytes(parties.fetch(parties.realm(values[right]))["key"]) == MODEL_KEY
    assert "has not consented to this" in refused(parties, parties.realm(OTHER_RIM))


def test_revoked_by_either(parties: Parties) -> None:
    parties.put()
    grant, consent = parties.grant(), parties.consent()
    parties.fetch()
    parties.user.state(op="revoke", id=consent)
    assert refused(parties) == "the user has not consented"
    parties.consent()
    parties.fetch()
    parties.owner.state(op="revoke", id=grant)
    assert refused(parties) == "the owner has not consented"


def test_expired(parties: Parties) -> None:
    parties.put()
    parties.grant()
    parties.consent(expires=int(parties.clock()) + 5 * DAY)
    parties.clock.ahead = DAY + 10
    assert refused(parties) == "the owner has not consented to this: that has expired"
    parties.grant()
    parties.fetch()
    parties.clock.ahead = 6 * DAY
    parties.grant()
    assert refused(parties) == "the user has not consented to this: that has expired"


def test_not_begun(parties: Parties) -> None:
    parties.ready(not_before=int(parties.clock()) + 100)
    assert refused(parties) == "the owner has not consented to this: that has not begun"
    parties.clock.ahead = 101
    parties.fetch()


def test_quota_as_leases(parties: Parties) -> None:
    """Each release debits a lease; the last one is as small as what is left."""
    parties.ready(quota=25, lease=10)
    assert [parties.fetch()["lease"] for _ in range(3)] == [10, 10, 5]
    assert refused(parties) == "the owner has not consented to this: its 25 inferences are used up"
    parties.grant(quota=1)
    assert parties.fetch()["lease"] == 1


def test_a_refusal_costs_nothing(parties: Parties) -> None:
    parties.put()
    parties.grant(quota=10, lease=10)
    for _ in range(3):
        assert refused(parties) == "the user has not consented"
    parties.consent()
    assert parties.fetch()["lease"] == 10


def test_personalization_and_extensible_measurements(parties: Parties) -> None:
    parties.ready(rpv="00" * 64)
    assert "another personalization value" in refused(parties)
    parties.grant(rpv=RPV.hex(), rem=[None, "00" * 32, None, None])
    assert "has not consented to this" in refused(parties)
    parties.grant(rpv=RPV.hex(), rem=[None, "31" * 32, None, None])
    parties.fetch()


def test_versions(parties: Parties) -> None:
    """The newest is handed out and no other; a grant can ask for one that is not there yet."""
    parties.ready()
    newer = b"\x0c" * 32
    parties.put(key=newer, version=2)
    answer = parties.fetch()
    assert (jose.to_bytes(answer["key"]), answer["version"]) == (newer, 2)
    for version in (0, 1, 2, 4):
        with pytest.raises(RefusedError, match=r"version 3 of model is due|version: Input should be"):
            parties.put(version=version)
    parties.owner.state(op="revoke", id=answer["grant"])
    parties.grant(min_version=3)
    assert refused(parties) == "the newest version is 2, and the grant asks for 3 at least"


def test_a_grant_before_the_key(parties: Parties) -> None:
    parties.grant()
    parties.consent()
    assert refused(parties) == "the newest version is none, and the grant asks for 1 at least"


def test_a_users_request_key(parties: Parties) -> None:
    parties.put()
    parties.grant()
    parties.consent(request_key=jose.seal(b"\x0d" * 32, parties.service.encryption))
    assert jose.to_bytes(parties.fetch()["request_key"]) == b"\x0d" * 32


def test_production_keys_and_test_keys(parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A realm that public keys vouch for gets test keys only, and its answer says so."""
    keys = (PublicTestKey("a", "A", PLATFORM_KEY.public_key()), PublicTestKey("b", "B", REALM_KEY.public_key()))
    monkeypatch.setattr(known, "TEST_KEYS", keys)
    parties.ready()
    assert "is a, a public test value (A), and the policy refuses such" in refused(parties)
    lenient = Parties(f"sqlite:///{tmp_path}/2.db", policy=POLICY.model_copy(update={"test_keys": "allowed"}))
    lenient.ready()
    assert lenient.fetch()["test_keys"] == ["a", "b"]
    lenient.put(version=2, production=True)
    assert refused(lenient) == "a production key, and the realm is vouched for by a and b"


# --- attestation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"platform_key": OTHER_KEY}, "platform signature: ours: it was not made with that key"),
        ({"realm_signer": OTHER_KEY}, "realm signature: it was not made"),
        ({"platform": {10: bytes(32)}}, "binding: claim 10"),
        ({"platform": {2395: 0x7000}}, "claim 2395 (lifecycle)"),
    ],
)
def test_a_token_that_does_not_hold(parties: Parties, changes: dict[str, Any], words: str) -> None:
    parties.ready()
    assert words in refused(parties, parties.realm(**changes))


def test_a_replayed_token(parties: Parties) -> None:
    """Of another session: its challenge holds another nonce."""
    parties.ready()
    tokens: list[bytes] = []
    first = parties.realm()
    attester = first.attester
    realm = type(first)(first.http, first.service, lambda challenge: tokens.append(attester(challenge)) or tokens[0])
    parties.fetch(realm)
    assert "challenge: not the one that was asked for" in refused(parties, realm)


def test_another_nonce_or_another_key_than_the_token_is_for(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    realm.begin()
    with pytest.raises(RefusedError, match="another nonce than this session"):
        realm.attest("A" * 43)
    # The host takes the realm's token, and puts a key of his own beside it.
    nonce = realm.begin()["nonce"]
    his = parties.realm()
    his.http.cookies = realm.http.cookies
    swapped = type(his)(his.http, his.service, lambda _challenge: realm.attester(challenge_of(realm, nonce)))
    with pytest.raises(RefusedError, match="challenge: not the one"):
        swapped.attest(nonce)


def challenge_of(realm: Any, nonce: str) -> bytes:
    import hashlib

    return hashlib.sha512(jose.canonical(realm.runtime_data(nonce))).digest()


def test_a_nonce_serves_once(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    realm.attest(nonce)
    with pytest.raises(RefusedError, match="has attested already"):
        realm.attest(nonce)


def test_a_session_without_attestation(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    with pytest.raises(RefusedError, match="has not attested") as caught:
        realm.fetch(parties.owner.id, "model", parties.user.id, nonce)
    assert caught.value.status == 401
    with pytest.raises(RefusedError, match="no session"):
        parties.realm().fetch(parties.owner.id, "model", parties.user.id, nonce)


def test_a_session_that_is_over(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    realm.attest(nonce)
    parties.clock.ahead = 301
    with pytest.raises(RefusedError, match="no such session, or it is over"):
        realm.fetch(parties.owner.id, "model", parties.user.id, nonce)


def test_a_replayed_request(parties: Parties) -> None:
    """Once in a session: who sends it again does not use the quota up."""
    parties.ready(quota=20, lease=10)
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    realm.attest(nonce)
    realm.fetch(parties.owner.id, "model", parties.user.id, nonce)
    with pytest.raises(RefusedError, match="has had that key already"):
        realm.fetch(parties.owner.id, "model", parties.user.id, nonce)
    assert parties.fetch()["lease"] == 10


def test_an_answer_of_another_request(parties: Parties) -> None:
    """Sealed to the same key and signed by the service, but of another session or model."""
    parties.ready()
    parties.put("model2")
    parties.grant("model2")
    parties.consent("model2")
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    realm.attest(nonce)
    owner, user = parties.owner.id, parties.user.id
    path = f"/kbs/v0/resource/{owner}/model-key"
    answers = {each: realm.http.get(f"{path}/{each}", params={"user": user}).json() for each in ("model", "model2")}
    swapping = Swapping(answers["model2"])
    with pytest.raises(RefusedError, match="one to another request"):
        type(realm)(swapping, realm.service, realm.attester, realm.tee_key).fetch(owner, "model", user, nonce)
    with pytest.raises(RefusedError, match="one to another request"):
        type(realm)(Swapping(answers["model"]), realm.service, realm.attester, realm.tee_key).fetch(
            owner, "model", user, "B" * 43
        )
    own = jose.sign(
        {"key": "AA", "nonce": nonce, "owner": owner, "model": "model", "user": user}, jose.make_key(), jose.ANSWER
    )
    forged = jose.seal(own.encode(), realm.tee_key)
    with pytest.raises(RefusedError, match="signature does not hold"):
        type(realm)(Swapping(forged), realm.service, realm.attester, realm.tee_key).fetch(owner, "model", user, nonce)


class Swapping:
    """A host that gives an answer of his choice."""

    base_url = "x"

    def __init__(self, answer: dict[str, str]) -> None:
        self.answer = answer

    def request(self, *_arguments: Any, **_options: Any) -> Any:
        import httpx2

        return httpx2.Response(200, json=self.answer)


def test_a_bearer_token_in_place_of_the_cookie(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    token = realm.attest(realm.begin()["nonce"])
    path = f"/kbs/v0/resource/{parties.owner.id}/model-key/model"
    found = parties.http().get(path, params={"user": parties.user.id}, headers={"Authorization": f"Bearer {token}"})
    assert found.status_code == 200
    forged = jose.sign(jose.unverified(token), jose.make_key(), jose.SESSION)
    again = parties.http().get(path, params={"user": parties.user.id}, headers={"Authorization": f"Bearer {forged}"})
    assert again.status_code == 403


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_deletion_evidence(parties: Parties) -> None:
    parties.ready()
    realm = parties.realm()
    answer = parties.fetch(realm)
    for other in (parties.realm(), type(realm)(realm.http, realm.service, realm.attester, signing_key=realm.tee_key)):
        with pytest.raises(RefusedError, match="signature does not hold"):
            other.tell_deletion(answer, 7)
    with pytest.raises(RefusedError, match="nothing was released"):
        realm.tell_deletion(answer | {"version": 2}, 7)
    realm.tell_deletion(answer, 7)
    with pytest.raises(RefusedError, match="told before"):
        realm.tell_deletion(answer, 7)
    with parties.store.reading() as connection:
        last = audit.verify(audit.lines(connection), parties.service.signing)[-1]
    assert (last["event"], last["facts"]["inferences"]) == ("deleted", 7)
    assert jose.checked(last["facts"]["evidence"], realm.signing_key, jose.DELETION)["nonce"] == answer["nonce"]


def test_a_realm_without_a_key_for_evidence(parties: Parties) -> None:
    """A client of the protocol as others speak it: it gets its key, and nobody can tell of a deletion in its name."""
    parties.ready()
    realm = parties.realm()
    whole = realm.runtime_data

    class Plain(type(realm)):  # type: ignore[misc]
        def runtime_data(self, nonce: str) -> dict[str, Any]:
            return {name: value for name, value in whole(nonce).items() if name != "signing-pubkey"}

    plain = Plain(realm.http, realm.service, realm.attester, realm.tee_key)
    answer = parties.fetch(plain)
    assert jose.to_bytes(answer["key"]) == MODEL_KEY
    with pytest.raises(RefusedError, match="nothing was released to a realm with that key"):
        plain.tell_deletion(answer, 1)
