# SPDX-License-Identifier: Apache-2.0
"""The service's paths: what they do not take, how much and how often; reasons without anything of what was sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from key_parties import Parties, make

from orchestrator.service import audit, jose, sessions
from orchestrator.service.http import COOKIE, MAX_BODY, Rate
from orchestrator.service.refusal import RefusedError


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    return make(tmp_path_factory.mktemp("service"))


AUTH = {"version": "0.4.0", "tee": "cca", "extra-params": {}}


def detail(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert set(found) == {"type", "detail"}
    return str(found["detail"])


def test_a_challenge(parties: Parties) -> None:
    http = parties.http()
    answers = [http.post("/kbs/v0/auth", json=AUTH) for _ in range(2)]
    nonces = [answer.json()["nonce"] for answer in answers]
    assert len(set(nonces)) == 2
    assert all(len(jose.to_bytes(each)) == 32 for each in nonces)
    assert answers[0].json()["extra-params"] == {"hash-algorithm": "sha-512", "service": parties.service.id}
    header = answers[0].headers["set-cookie"]
    assert header.startswith(f"{COOKIE}=")
    assert "HttpOnly" in header
    assert "SameSite=strict" in header


@pytest.mark.parametrize(
    ("body", "words"),
    {
        b"": "no valid JSON",
        b"[]": "Input should be",
        b"\xff": "no valid JSON",
        b'{"version":"0.4.0","tee":"cca","tee":"cca"}': "a key that is there twice",
        b'{"version":"0.4.0","tee":"cca","extra-params":NaN}': "NaN is no number",
        b'{"version":"0.4.0","tee":"cca","extra-params":1.5}': "1.5 is no number",
        b'{"version":"0.4.0","tee":"cca","extra-params":"\\ud800"}': "surrogates not allowed",
        b'{"version":"1.0.0","tee":"cca"}': "version: String should match",
        b'{"version":"0.4.0","tee":"tdx"}': "tee: Input should be 'cca'",
        b'{"version":"0.4.0","tee":"cca","secret-word":1}': "secret-word: Extra inputs",
        b'{"a":' * 100_00 + b"1" + b"}" * 100_00: "no valid JSON",
    }.items(),
)
def test_what_is_no_request(parties: Parties, body: bytes, words: str) -> None:
    assert words in detail(parties.http().post("/kbs/v0/auth", content=body), 400)


def test_a_body_that_is_too_long(parties: Parties) -> None:
    http = parties.http()
    assert "more than" in detail(http.post("/kbs/v0/auth", content=b" " * (MAX_BODY + 1)), 413)
    pieces = (b" " * 4096 for _ in range(MAX_BODY // 4096 + 2))  # without a length in front
    assert "more than" in detail(http.post("/kbs/v0/auth", content=pieces), 413)
    assert "more than" in detail(http.post("/kbs/v0/auth", content=b"", headers={"content-length": "-1"}), 413)


def test_paths_that_there_are_not(parties: Parties) -> None:
    http = parties.http()
    assert http.get("/kbs/v0/auth").status_code == 405
    assert http.get("/").status_code == 404
    assert http.delete("/kbs/v0/resource/a/model-key/b").status_code == 405
    assert "no session" in detail(http.get("/kbs/v0/resource/a/model-key/b"), 401)
    assert "nothing of that kind" in detail(http.get("/kbs/v0/resource/a/secret/b"), 404)
    long = "a" * 65
    assert "no name" in detail(http.get(f"/kbs/v0/resource/{long}/model-key/b"), 400)
    assert "no name" in detail(http.get("/kbs/v0/resource/a/model-key/b", params={"user": "ü"}), 400)


def test_cookies_that_are_none(parties: Parties) -> None:
    http = parties.http()
    for cookie, status in (("A" * 43, 401), ("A" * 65, 400), ("", 401)):
        answer = http.get("/kbs/v0/resource/a/model-key/b", headers={"cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == status


def test_a_key_for_answers_that_is_none(parties: Parties) -> None:
    """Off its curve, private, of another algorithm, RSA: refused before a token is looked at."""
    realm = parties.realm()
    nonce = realm.begin()["nonce"]
    data = realm.runtime_data(nonce)
    tee = data["tee-pubkey"]
    wrong = [tee | {"y": tee["x"]}, tee | {"d": "AA"}, tee | {"alg": "RSA-OAEP-256"}, tee | {"kty": "RSA"}]
    for each in (*wrong, tee | {"crv": "P-256"}, {"kty": "oct", "k": "AA"}):
        body = {"runtime-data": data | {"tee-pubkey": each}, "tee-evidence": {"primary_evidence": {"token": "AA"}}}
        assert parties_refuse(realm.http.post("/kbs/v0/attest", json=body))
    body = {"runtime-data": data, "tee-evidence": {"primary_evidence": {"token": "A"}}}
    assert "base64url" in detail(realm.http.post("/kbs/v0/attest", json=body), 400)
    body["tee-evidence"]["primary_evidence"]["token"] = jose.to_text(b"\xd9\x01\x8f\xa0")
    assert "not a platform token" in detail(realm.http.post("/kbs/v0/attest", json=body), 401)


def parties_refuse(answer: Any) -> bool:
    return answer.status_code in (400, 401) and "token" not in answer.json()


def test_many_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = make(tmp_path)
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    http = parties.http()
    for _ in range(3):
        assert http.post("/kbs/v0/auth", json=AUTH).status_code == 200
    assert "sessions are open" in detail(http.post("/kbs/v0/auth", json=AUTH), 429)
    parties.clock.ahead = 301
    assert http.post("/kbs/v0/auth", json=AUTH).status_code == 200


def test_one_who_asks_too_often(tmp_path: Path) -> None:
    parties = make(tmp_path, rate=Rate(rate=0.001, burst=3))
    http = parties.http()
    assert [http.get("/keys/v0/service").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_rates() -> None:
    rate = Rate(rate=1, burst=2, known=2)
    assert [rate.take("a", now) for now in (0, 0, 0, 1.0, 1.5, 2.1)] == [True, True, False, True, False, True]
    for address in ("b", "c"):
        assert rate.take(address, 3)
    assert len(rate._left) == 2


def test_refusals_do_not_fill_the_log(tmp_path: Path) -> None:
    parties = make(tmp_path)
    parties.store.refusals.burst = parties.store.refusals._left = 2
    parties.store.refusals.rate = 0
    for _ in range(5):
        with pytest.raises(RefusedError, match="has not consented"):
            parties.fetch()
    parties.store.refusals._left = 1
    with pytest.raises(RefusedError, match="has not consented"):
        parties.fetch()
    with parties.store.reading() as connection:
        entries = audit.verify(audit.lines(connection), parties.service.signing)
    refused = [each["facts"].get("left_out") for each in entries if each["event"] == "release refused"]
    assert refused == [None, None, 3]


def test_what_is_wrong_inside_is_not_told(tmp_path: Path) -> None:
    parties = make(tmp_path)
    parties.ready()
    parties.store.keyring.keys.clear()
    with pytest.raises(RefusedError, match=r"^the state is not as it must be$"):
        parties.fetch()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["/kbs/v0/auth", "/kbs/v0/attest", "/keys/v0/statement", "/keys/v0/deletion"]), JSON, st.data())
def test_whatever_is_sent_is_refused_with_a_reason(parties: Parties, path: str, sent: Any, data: st.DataObject) -> None:
    body = json.dumps(sent).encode() if data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
    answer = parties.http().post(path, content=body)
    assert answer.status_code in (400, 401, 403)
    assert set(answer.json()) == {"type", "detail"}
    assert answer.json()["detail"].isprintable()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_statement_is_refused(parties: Parties, data: st.DataObject) -> None:
    text = parties.owner.signed(op="list")
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from("AZaz09-_.")) + text[place + 1 :]
    if changed != text:
        answer = parties.http().post("/keys/v0/statement", content=changed)
        assert answer.status_code in (400, 401, 403)
