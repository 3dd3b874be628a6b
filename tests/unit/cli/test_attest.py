# SPDX-License-Identifier: Apache-2.0
"""`orch attest` on the command line: exit codes and reasons, of tokens in files and of a realm that is played."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cca_vectors import CHALLENGE, PLATFORM_KEY, REMS, RIM, Vector, pem

from orchestrator.attest.rim import Algorithm, Measurements
from orchestrator.cli.main import orch
from orchestrator.errors import AttestationError, UsageError
from orchestrator.schema.testbed import Guest
from orchestrator.shell import ssh
from orchestrator.testbed import attestation, measurement
from orchestrator.testbed.guest_record import GuestRecord
from orchestrator.testbed.guests import Guests
from orchestrator.testbed.testbed import Testbed as Bed

HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    key = "".join(f"        {line}\n" for line in pem(PLATFORM_KEY).splitlines())
    text = f"name: mine\nrequired: []\nplatform:\n  keys:\n    - name: ours\n      pem: |\n{key}"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token.cbor"
    path.write_bytes(Vector().bytes())
    return str(path)


def run(*arguments: str) -> None:
    orch.main(["attest", *arguments], standalone_mode=False)


def test_a_good_token(token: str, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("verify", token, "--policy", policy, "--challenge", CHALLENGE.hex())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrapper 399; profiles: platform 2023, realm 2023; policy: mine"
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        "platform signature",
        "realm signature",
        "binding",
        "challenge",
    ]
    assert all(" holds " in line for line in lines[1:5])
    assert lines[-1].startswith("accepted; no verdict on realm hash algorithm, rim, rem 0,")
    assert not [line for line in lines if "test key" in line]


def test_json(token: str, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("verify", token, "--policy", policy, "--json")
    table = json.loads(capsys.readouterr().out)
    assert table["accepted"] is True
    assert [each["state"] for each in table["legs"]] == ["holds"] * 3
    assert "challenge" in table["without_verdict"]
    assert next(each for each in table["claims"] if each["name"] == "rim")["found"] == RIM.hex()


def test_a_refused_token(token: str, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All is shown, and what is wrong stands in the error."""
    with pytest.raises(AttestationError, match="is refused: challenge: not the one") as caught:
        run("verify", token, "--policy", policy, "--challenge", "00" * 64, "--json")
    assert caught.value.exit_code == 5
    table = json.loads(capsys.readouterr().out)
    assert (table["accepted"], len(table["reasons"])) == (False, 1)


def test_what_is_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x"
    path.write_bytes(Vector().bytes()[:-1])
    with pytest.raises(AttestationError, match=r"x: token: the end, inside") as caught:
        run("verify", str(path), "--json")
    assert caught.value.exit_code == 5
    assert json.loads(capsys.readouterr().out)["accepted"] is False
    path.write_bytes(bytes(1 << 20))
    with pytest.raises(AttestationError, match="more than the 65536"):
        run("verify", str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--challenge", "xx"], "--challenge xx: expected hexadecimal digits"),
        (["--challenge", "00"], "a challenge has 32 to 64 bytes, not 1"),
        (["--policy", "/nowhere"], "no such file"),
    ],
)
def test_mistakes(token: str, arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run("verify", token, *arguments)


def test_an_option_that_would_be_lost(token: str, policy: str) -> None:
    with pytest.raises(UsageError, match="stand behind it"):
        run("--policy", policy, "verify", token)


# --- a running realm --------------------------------------------------------------------------------------------------


@pytest.fixture
def realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One that answers a challenge with "answer"; its artifacts give "rim"."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    facts: dict[str, Any] = {"rim": RIM, "answer": lambda challenge: Vector(realm={10: challenge}).bytes()}

    def predict(_bed: Bed, config: Guest) -> measurement.Expected:
        facts["config"] = config
        measurements = Measurements(Algorithm.SHA_256, facts["rim"], tuple(REMS))
        return measurement.Expected(measurements, config, "a=b", {}, {}, [])

    def exchange(_gateway: object, _address: str, port: int, question: bytes, **_limits: object) -> bytes:
        assert (port, len(question)) == (attestation.PORT, attestation.NONCE_BYTES)
        token = facts["answer"](attestation.challenge(facts["host_key"], question))
        return json.dumps(
            {"host_key": facts["host_key"].split()[1], "token": base64.b64encode(token).decode()}
        ).encode()

    facts["host_key"] = HOST_KEY
    monkeypatch.setattr(attestation, "predict", predict)
    monkeypatch.setattr(attestation, "started_config", lambda _bed, _name: Guest(memory_mib=128, vcpus=2))
    monkeypatch.setattr(Bed, "host", lambda _bed: nullcontext())
    monkeypatch.setattr(Guests, "need_running", lambda *_: None)
    monkeypatch.setattr(GuestRecord, "guest", lambda *_: {"host_key": HOST_KEY})
    monkeypatch.setattr(ssh, "exchange", exchange)
    return facts


def test_a_realm(realm: dict[str, Any], policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--policy", policy, "--json", "--save")
    table = json.loads(capsys.readouterr().out)
    assert table["verdict"]["accepted"] is True
    assert "rim" not in table["verdict"]["without_verdict"]
    assert realm["config"] == Guest(memory_mib=128, vcpus=2)
    kept = json.loads(Path(table.pop("file")).read_text(encoding="utf-8"))
    assert kept == table
    assert str(tmp_path / "state") in json.dumps(str(next((tmp_path / "state").rglob("realm-*.json"))))
    run("--policy", policy)
    assert "no verdict on rem 0" in capsys.readouterr().out


def test_each_time_another_challenge(realm: dict[str, Any], policy: str) -> None:
    seen: list[bytes] = []
    realm["answer"] = lambda challenge: seen.append(challenge) or Vector(realm={10: challenge}).bytes()
    run("--policy", policy)
    run("--policy", policy)
    assert len(set(seen)) == 2
    assert [len(each) for each in seen] == [64, 64]


def test_a_realm_of_other_artifacts(realm: dict[str, Any], policy: str) -> None:
    realm["rim"] = bytes(32)
    with pytest.raises(AttestationError, match="the realm's token is refused: rim: not 0000"):
        run("--policy", policy)


def test_a_replayed_token(realm: dict[str, Any], policy: str, tmp_path: Path) -> None:
    """It is kept all the same: what was refused is what somebody wants to look at."""
    old = Vector().bytes()
    realm["answer"] = lambda _challenge: old
    with pytest.raises(AttestationError, match="challenge: not the one that was asked for"):
        run("--policy", policy, "--save")
    assert len(list((tmp_path / "state").rglob("realm-*.json"))) == 1


def test_another_host_key_than_the_pinned_one(realm: dict[str, Any], policy: str) -> None:
    realm["host_key"] = HOST_KEY[:-4] + "AAAQ"
    assert realm["host_key"] != HOST_KEY
    with pytest.raises(AttestationError, match="another host key than the one that SSH goes by"):
        run("--policy", policy)


def test_a_vm_is_not_asked(realm: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="the vm is no realm"):
        run("--realm", "vm")
