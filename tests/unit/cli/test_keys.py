# SPDX-License-Identifier: Apache-2.0
"""`orch keys` with a service that is really served: what each command does, and its exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cca_vectors import PLATFORM_KEY, RIM, Vector, pem

from orchestrator.service import jose
from orchestrator.service.client import Realm
from orchestrator.service.home import Home

POLICY = "name: mine\nrequired: []\nplatform:\n  keys:\n    - name: ours\n      pem: |\n"


class Keys:
    """One user's `orch keys`."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "state", folder / "keys")
        self.address = "http://127.0.0.1:1"
        self.folder = folder
        text = POLICY + "".join(f"        {line}\n" for line in pem(PLATFORM_KEY).splitlines())
        (folder / "policy.yaml").write_text(text, encoding="utf-8")
        self.server: subprocess.Popen[str] | None = None

    def argv(self, *arguments: str) -> list[str]:
        where = ["--state", str(self.home.state), "--keys", str(self.home.keys), "--service", self.address]
        start = "from orchestrator.cli.start import entry; entry()"
        return [sys.executable, "-c", start, "keys", *where, *arguments]

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def serve(self) -> None:
        argv = self.argv("serve", "--port", "0", "--policy", str(self.folder / "policy.yaml"))
        self.server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line
        self.address = found[0]

    def end(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            assert self.server.wait(timeout=30) in (0, 143)
            self.server = None

    def realm(self) -> Realm:
        http = httpx2.Client(base_url=self.address, trust_env=False)
        return Realm(http, self.home.service(), lambda challenge: Vector(realm={10: challenge}).bytes())


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    made = Keys(tmp_path)
    made.run("init")
    try:
        yield made
    finally:
        made.end()


def test_from_the_first_key_to_the_last(keys: Keys, tmp_path: Path) -> None:
    """An owner deposits a key and grants its use, a user consents, a realm gets it, and the log tells all."""
    keys.serve()
    key_file, home = tmp_path / "model.key", keys.home
    assert keys.run("rotate", "model", "--key", str(key_file)) == f"model: version 1, key in {key_file}\n"
    assert key_file.stat().st_mode & 0o777 == 0o600
    terms = ("--model", "model", "--rim", RIM.hex())
    grant = keys.run("grant", *terms, "--quota", "12", "--lease", "5").strip()
    consent = keys.run("grant", *terms, "--as", "user").strip()
    owner, user = (jose.identity(home.identity(name)) for name in ("owner", "user"))
    answer = keys.realm().key(owner, "model", user)
    assert jose.to_bytes(answer["key"]).hex() == key_file.read_text().strip()
    assert (answer["grant"], answer["consent"], answer["lease"]) == (grant, consent, 5)
    listed = keys.run("list")
    assert "model    model version 1 (test)" in listed
    assert "5 of 12 inferences" in listed
    assert len(json.loads(keys.run("list", "--as", "user", "--json"))["consents"]) == 1

    log = tmp_path / "log"
    assert keys.run("audit", "--out", str(log)).endswith("6 entries, whole\n")
    head = re.search(r"ends with (\S+)", listed)
    assert head
    keys.end()
    assert keys.run("audit", "--verify", str(log), "--head", head[1]).endswith("6 entries, whole\n")
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:-1]) + "\n")
    assert "it ends with entry 5, and 6 were there" in keys.run(
        "audit", "--verify", str(log), "--head", head[1], code=5
    )
    log.write_text("\n".join([*lines[:2], *lines[3:]]) + "\n")
    assert "entry 3: it does not follow" in keys.run("audit", "--verify", str(log), code=5)


def test_a_user_on_another_computer(keys: Keys, tmp_path: Path) -> None:
    """He makes his key there, hands the public half to the owner, and is handed the service's public keys."""
    there = Keys(tmp_path / "..")
    there.home = Home(tmp_path / "there/state", tmp_path / "there/keys")
    said = there.run("init", "--identity", "alice")
    public = re.search(r"hand out (\S+)", said)
    assert public
    assert set(json.loads(Path(public[1]).read_text())) == {"kty", "crv", "x", "y"}
    assert "is there already" in there.run("init", "--identity", "alice", code=6)
    assert "no key service is known here" in there.run("list", "--as", "alice", code=6)
    (there.home.keys / "service.json").write_text((keys.home.keys / "service.json").read_text())
    keys.serve()
    there.address = keys.address
    assert "nobody here has that key" in there.run("list", "--as", "alice", code=5)
    keys.run("grant", "--model", "model", "--rim", RIM.hex(), "--user", public[1])
    there.run("grant", "--as", "alice", "--model", "model", "--rim", RIM.hex())
    assert "consent" in there.run("list", "--as", "alice")
    assert "0 owners have granted a model other" in there.run(
        "grant", "--as", "alice", "--model", "other", "--rim", RIM.hex(), code=2
    )


def test_revoked(keys: Keys, tmp_path: Path) -> None:
    keys.serve()
    keys.run("rotate", "model", "--key", str(tmp_path / "model.key"))
    terms = ("--model", "model", "--rim", RIM.hex())
    grant = keys.run("grant", *terms).strip()
    keys.run("grant", *terms, "--as", "user")
    keys.run("revoke", grant)
    assert "revoked" in keys.run("list")
    assert "no such consent" in keys.run("revoke", grant, "--as", "user", code=5)


def test_a_copy_back_and_another_sealing_key(keys: Keys, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    keys.serve()
    keys.run("rotate", "model", "--key", str(tmp_path / "model.key"))
    keys.run("backup", str(copy))
    assert "it is being served" in keys.run("restore", str(copy), code=6)
    assert "it is being served" in keys.run("rotate", "--sealing", code=6)
    assert "it is being served" in keys.run("serve", "--port", "0", code=6)
    keys.end()
    assert keys.run("restore", str(copy)).startswith("restored; the audit log ends with 4:")
    keys.run("rotate", "--sealing")
    assert sorted(each.name for each in keys.home.keys.glob("seal*")) == ["seal.1", "seal.key"]
    assert "it does not open" in keys.run("restore", str(copy), code=6)
    keys.serve()
    assert "model    model version 1" in keys.run("list")


def test_an_older_state_that_was_put_back(keys: Keys, tmp_path: Path) -> None:
    """Whoever can write the state cannot take a revocation back unseen: its end was kept elsewhere."""
    keys.serve()
    grant = keys.run("grant", "--model", "model", "--rim", RIM.hex()).strip()
    keys.end()
    older = keys.home.file.read_bytes()
    copy = tmp_path / "copy"
    keys.run("backup", str(copy))
    keys.serve()
    keys.run("revoke", grant)
    keys.end()
    newer = keys.home.file.read_bytes()
    keys.home.file.write_bytes(older)
    assert "an older state was put back" in keys.run("serve", "--port", "0", code=5)
    keys.home.file.write_bytes(newer)
    seen = (keys.home.keys / "head").read_text()
    keys.serve()
    (keys.home.keys / "head").write_text("900:00\n")  # as if the one that answers were behind
    assert "900 were seen before: an older state was put back" in keys.run("list", code=5)
    (keys.home.keys / "head").write_text(seen)
    keys.run("list")
    keys.end()
    assert "lacks" in keys.run("restore", str(copy), code=6)
    keys.run("restore", str(copy), "--older")
    keys.serve()
    assert "until" in keys.run("list")


def test_a_sealing_key_that_was_changed_half(keys: Keys) -> None:
    """The state opens with the new key already, and the old one is still in its place; or the other way round."""
    new = keys.home.seal_key.with_suffix(".new")
    old = keys.home.seal_key.read_text()
    keys.run("rotate", "--sealing")
    new.write_text(keys.home.seal_key.read_text())
    new.chmod(0o600)
    keys.home.seal_key.write_text(old)
    keys.home.open()
    assert not new.exists()
    new.write_text("00" * 32)
    new.chmod(0o600)
    keys.home.open()
    assert not new.exists()


def test_a_lost_owner_key(keys: Keys, tmp_path: Path) -> None:
    keys.serve()
    keys.run("rotate", "model", "--key", str(tmp_path / "model.key"))
    keys.run("grant", "--model", "model", "--rim", RIM.hex())
    (keys.home.keys / "owner.jwk").unlink()
    assert "no such key" in keys.run("list", code=6)
    assert keys.run("rotate", "--lost-owner").endswith("; 1 grants have ended\n")
    listed = keys.run("list")
    assert "model    model version 1" in listed
    assert "revoked" in listed
    assert sorted(each.name for each in keys.home.keys.glob("owner*")) == [
        "owner-recovery.jwk",
        "owner-recovery.pub.jwk",
        "owner.jwk",
        "owner.pub.jwk",
    ]


def test_mistakes(keys: Keys, tmp_path: Path) -> None:
    assert "does not answer" in keys.run("list", code=6)
    assert "there is a key service already" in keys.run("init", code=6)
    for wrong in ((), ("model",), ("--sealing", "--lost-owner"), ("--sealing", "--key", "x")):
        assert "name one" in keys.run("rotate", *wrong, code=2)
    assert "cannot be read" in keys.run("restore", str(tmp_path / "none"), code=6)
    assert "cannot be read" in keys.run("audit", "--verify", str(tmp_path / "none"), code=2)
    assert "expected SEQ:HASH" in keys.run("audit", "--verify", str(tmp_path / "policy.yaml"), "--head", "x", code=2)
    keys.home.identity_file("owner").chmod(0o644)
    assert "others may read this key" in keys.run("list", code=6)


def test_the_key_may_not_be_beside_the_state(tmp_path: Path) -> None:
    both = Keys(tmp_path)
    both.home = Home(tmp_path / "one", tmp_path / "one")
    assert "may not be beside it" in both.run("init", code=6)


def test_a_port_that_is_taken(keys: Keys) -> None:
    keys.serve()
    port = keys.address.rpartition(":")[2]
    other = Keys(keys.folder / "..")
    other.home = Home(keys.folder / "2/state", keys.folder / "2/keys")
    other.run("init")
    assert f"port {port}: cannot be listened on" in other.run("serve", "--port", port, code=6)
