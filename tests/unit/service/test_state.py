# SPDX-License-Identifier: Apache-2.0
"""State at rest: sealed, marked, logged; copied and put back; opened with one key, and later with another."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from key_parties import MODEL_KEY, SEAL_KEY, Parties, make

from orchestrator.errors import AttestationError, EnvError, UsageError
from orchestrator.service import audit, jose, sealing
from orchestrator.service.audit import Head
from orchestrator.service.backup import backup, restore
from orchestrator.service.refusal import RefusedError
from orchestrator.service.sealing import Keyring
from orchestrator.service.store import open_store, reseal
from orchestrator.service.tables import GRANTS, connect

OTHER_KEY = b"\x5f" * 32


@pytest.fixture
def parties(tmp_path: Path) -> Parties:
    return make(tmp_path)


def log(parties: Parties) -> list[str]:
    with parties.store.reading() as connection:
        return audit.lines(connection)


def edit(folder: Path, statement: str) -> None:
    """Somebody who can write the file."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        connection.execute(statement)
        connection.commit()


# --- sealed -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_files(parties: Parties, tmp_path: Path) -> None:
    request_key = b"\x1d" * 32
    parties.put()
    parties.grant()
    parties.consent(request_key=jose.seal(request_key, parties.service.encryption))
    parties.fetch()
    private = {
        str(parties.store.signing.as_dict(private=True)["d"]),
        str(parties.store.encryption.as_dict(private=True)["d"]),
    }
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (MODEL_KEY, request_key, *(each.encode() for each in private)):
        for form in (secret, secret.hex().encode(), jose.to_text(secret).encode()):
            assert form not in content
    assert parties.owner.id.encode() in content  # it is the right file


def test_another_key_opens_nothing(parties: Parties) -> None:
    with pytest.raises(EnvError, match="it does not open"):
        open_store(parties.url, OTHER_KEY)


def test_what_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match="no state of a key service"):
        open_store(f"sqlite:///{tmp_path}/none.db", SEAL_KEY)
    with pytest.raises(EnvError, match="in SQLite or PostgreSQL"):
        connect("mysql://x")


def test_a_secret_has_one_place(tmp_path: Path) -> None:
    """Another model's key in a row: it does not open there, and nothing is released."""
    parties = make(tmp_path)
    parties.ready()
    parties.put("model2", b"\x22" * 32)
    edit(tmp_path, "UPDATE model_keys SET sealed = (SELECT sealed FROM model_keys WHERE model = 'model2')")
    with pytest.raises(RefusedError, match="the state is not as it must be") as caught:
        parties.fetch()
    assert caught.value.status == 500


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE grants SET used = 0",
        "UPDATE grants SET revoked = NULL",
        "UPDATE consents SET revoked = NULL",
        "UPDATE owners SET jwk = recovery_jwk",
        "UPDATE grants SET mark = (SELECT mark FROM consents)",
    ],
)
def test_a_row_that_was_changed_releases_nothing(tmp_path: Path, change: str) -> None:
    parties = make(tmp_path)
    parties.put()
    grant, consent = parties.grant(quota=10, lease=10), parties.consent()
    parties.fetch()
    parties.user.state(op="revoke", id=consent)
    parties.owner.state(op="revoke", id=grant)
    edit(tmp_path, change)
    edit(tmp_path, "UPDATE grants SET revoked = NULL WHERE used = 0")
    with pytest.raises(Exception, match=r"state is not as it must be|has not consented|nobody here"):
        parties.fetch()


def test_a_statement_that_was_swapped_releases_nothing(tmp_path: Path) -> None:
    parties = make(tmp_path)
    parties.put()
    first = parties.grant(quota=1)
    second = parties.grant(quota=1000, model="model2")
    parties.consent()
    edit(
        tmp_path,
        f"UPDATE grants SET statement = (SELECT statement FROM grants WHERE id = '{second}') WHERE id = '{first}'",
    )
    with pytest.raises(Exception, match="not what its owner has signed"):
        parties.fetch()


def test_rings_of_keys() -> None:
    ring = Keyring({1: b"\1" * 32})
    old = ring.seal(b"x", "about")
    newer = Keyring({1: b"\1" * 32, 2: b"\2" * 32})
    assert newer.unseal(old, "about") == b"x"
    assert newer.seal(b"x", "about")[:4] == bytes([0, 0, 0, 2])
    assert newer.seal(b"x", "about") != newer.seal(b"x", "about")
    for ring_, sealed, about in ((ring, newer.seal(b"x", "a"), "a"), (ring, old, "other"), (ring, old[:-1], "about")):
        with pytest.raises(EnvError):
            ring_.unseal(sealed, about)
    assert "\\x01" not in repr(ring)


def test_another_key_for_the_state(parties: Parties) -> None:
    """What was sealed before opens afterwards, with the new key only."""
    parties.ready()
    with pytest.raises(EnvError):
        reseal(parties.store, OTHER_KEY, OTHER_KEY)
    reseal(parties.store, SEAL_KEY, OTHER_KEY)
    with pytest.raises(EnvError):
        open_store(parties.url, SEAL_KEY)
    store = open_store(parties.url, OTHER_KEY, parties.clock)
    assert store.id == parties.store.id
    again = object.__new__(Parties)
    again.__dict__.update(parties.__dict__)
    from orchestrator.service.http import application

    again.store, again.app = store, application(store, parties.policy, parties.rate)
    assert jose.to_bytes(again.fetch()["key"]) == MODEL_KEY
    again.put(version=2, key=b"\x33" * 32)
    assert jose.to_bytes(again.fetch()["key"]) == b"\x33" * 32


# --- the audit log ----------------------------------------------------------------------------------------------------


def test_the_log_tells_all_and_no_secret(parties: Parties) -> None:
    parties.ready()
    parties.fetch()
    entries = audit.verify(log(parties), parties.service.signing)
    assert [each["event"] for each in entries] == ["created", "put-key", "grant", "consent", "attested", "released"]
    assert [each["seq"] for each in entries] == list(range(1, 7))
    assert jose.to_text(MODEL_KEY) not in str(entries)


def test_the_log_off_line(parties: Parties) -> None:
    parties.ready()
    parties.fetch()
    lines, key = log(parties), parties.service.signing
    head = Head(len(lines), audit.line_hash(lines[-1]))
    audit.verify(lines, key, head)
    audit.verify(lines, key, Head(3, audit.line_hash(lines[2])))
    forged = jose.sign(jose.unverified(lines[2]) | {"event": "nothing"}, parties.other_key, jose.AUDIT)
    answer = jose.sign(jose.unverified(lines[2]), parties.store.signing, jose.ANSWER)
    for changed, words in (
        (lines[1:], "entry 1: it does not follow"),
        ([*lines[:2], *lines[3:]], "entry 3: it does not follow"),
        ([*lines[:2], lines[3], lines[2], *lines[4:]], "entry 3: it does not follow"),
        ([*lines[:2], lines[2], *lines[2:]], "entry 4: it does not follow"),
        ([*lines[:2], forged, *lines[3:]], "entry 3: the signature does not hold"),
        ([*lines[:2], answer, *lines[3:]], "entry 3: signed for another use"),
        ([*lines[:2], lines[2][:-4] + "AAAA", *lines[3:]], "entry 3: the signature does not hold"),
        ([*lines[:2], "x", *lines[3:]], "entry 3: "),
        (lines[:-1], "it ends with entry 5, and 6 were there before"),
    ):
        with pytest.raises(AttestationError, match=words):
            audit.verify(changed, key, head)
    with pytest.raises(AttestationError, match="entry 6: not the one whose hash was kept"):
        audit.verify(lines, key, Head(6, "00" * 32))


# --- copies -----------------------------------------------------------------------------------------------------------


def test_a_copy_and_the_way_back(parties: Parties, tmp_path: Path) -> None:
    parties.ready(quota=10, lease=10)
    copy = backup(parties.store, SEAL_KEY)
    assert MODEL_KEY not in copy
    assert parties.owner.id.encode() not in copy
    place = tmp_path / "elsewhere" / "state.db"
    place.parent.mkdir()
    head = restore(copy, place, SEAL_KEY)
    store = open_store(f"sqlite:///{place}", SEAL_KEY)
    assert store.id == parties.store.id
    with store.reading() as connection:
        entries = audit.verify(audit.lines(connection), store.signing, head)
        assert connection.execute(sa.select(sa.func.count()).select_from(GRANTS)).scalar_one() == 1
    assert [each["event"] for each in entries][-2:] == ["copied", "restored"]
    assert sorted(each.name for each in place.parent.iterdir()) in (
        ["state.db"],
        ["state.db", "state.db-shm", "state.db-wal"],
    )


def test_a_copy_does_not_take_back_a_revocation(parties: Parties, tmp_path: Path) -> None:
    parties.put()
    grant = parties.grant()
    copy = backup(parties.store, SEAL_KEY)
    parties.owner.state(op="revoke", id=grant)
    parties.store.engine.dispose()
    path = tmp_path / "state.db"
    with pytest.raises(EnvError, match="has 1 entries in its log that the copy lacks"):
        restore(copy, path, SEAL_KEY)
    store = open_store(parties.url, SEAL_KEY)
    with store.reading() as connection:
        assert connection.execute(sa.select(GRANTS.c.revoked)).scalar_one() is not None
    store.engine.dispose()
    restore(copy, path, SEAL_KEY, older=True)
    store = open_store(parties.url, SEAL_KEY)
    with store.reading() as connection:
        assert connection.execute(sa.select(GRANTS.c.revoked)).scalar_one() is None


def test_a_newer_copy_in_the_place_of_its_past(parties: Parties, tmp_path: Path) -> None:
    parties.put()
    old = backup(parties.store, SEAL_KEY)
    parties.grant()
    new = backup(parties.store, SEAL_KEY)
    parties.store.engine.dispose()
    place = tmp_path / "2" / "state.db"
    place.parent.mkdir()
    restore(old, place, SEAL_KEY)
    with pytest.raises(EnvError, match="has 1 entries"):  # that it was restored, the new one does not know
        restore(new, place, SEAL_KEY)


def test_what_is_no_copy(tmp_path: Path) -> None:
    parties = make(tmp_path)
    copy = backup(parties.store, SEAL_KEY)
    place = tmp_path / "2.db"
    for data, key in (
        (copy[:-1], SEAL_KEY),
        (b"", SEAL_KEY),
        (copy, OTHER_KEY),
        (copy[:40] + b"x" + copy[41:], SEAL_KEY),
    ):
        with pytest.raises(EnvError, match="it does not open"):
            restore(data, place, key)
    with pytest.raises(EnvError, match="no state"):
        restore(sealing.seal(SEAL_KEY, b"no database", "backup of a key service"), place, SEAL_KEY)
    assert not place.exists()


def test_files_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    key = sealing.make_seal_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sealing.read_seal_key(path) == key
    with pytest.raises(EnvError, match="is there already"):
        sealing.make_seal_key(path)
    path.chmod(0o640)
    with pytest.raises(EnvError, match="others may read this key"):
        sealing.read_seal_key(path)
    path.chmod(0o600)
    path.write_text("00")
    with pytest.raises(EnvError, match="64 hexadecimal digits"):
        sealing.read_seal_key(path)


def test_postgresql_has_its_own_means(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parties.store.engine.dialect, "name", "postgresql")
    with pytest.raises(UsageError, match="pg_dump"):
        backup(parties.store, SEAL_KEY)
