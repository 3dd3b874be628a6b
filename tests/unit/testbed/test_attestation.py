# SPDX-License-Identifier: Apache-2.0
"""How a token is fetched from a realm: the shell that does it is run here, on a folder in the place of configfs."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cca_vectors import CHALLENGE, Vector

from orchestrator.attest.policies import read_policy
from orchestrator.attest.verify import verify
from orchestrator.errors import AttestationError
from orchestrator.shell import ssh
from orchestrator.testbed import attestation
from orchestrator.testbed.attestation import Attested, fetch, fetch_script

TOOLS = {
    # What the kernel does: a report's folder comes with its files, and goes with them.
    "mkdir": 'test ! -e "$1" && /bin/mkdir "$1" && printf "%s" "$TOKEN" >"$1/outblob"',
    "rmdir": '/bin/cat "$1/inblob" >"$SEEN"; /bin/rm -r "$1"',
    "mount": '/bin/mkdir -p "$4/tsm/report"',
}


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    for name, text in TOOLS.items():
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        tool.chmod(0o755)
    return tmp_path


def run(kernel: Path, script: str) -> subprocess.CompletedProcess[str]:
    changes = {
        "PATH": f"{kernel}/bin:{os.environ['PATH']}",
        "TOKEN": "a token" * 40,
        "SEEN": str(kernel / "seen"),
    }
    there = script.replace("/sys/kernel/config", f"{kernel}/config")
    return subprocess.run(["sh", "-c", there], env=os.environ | changes, capture_output=True, text=True, check=False)


def test_a_token_is_fetched_and_nothing_stays(kernel: Path) -> None:
    for name in ("one", "two"):  # configfs is mounted by the first
        done = run(kernel, fetch_script(CHALLENGE, name))
        assert (done.returncode, done.stderr) == (0, "")
        assert base64.b64decode(done.stdout) == b"a token" * 40
        assert (kernel / "seen").read_bytes() == CHALLENGE
    assert list((kernel / "config/tsm/report").iterdir()) == []


def test_a_report_of_that_name_is_another_ones(kernel: Path) -> None:
    (kernel / "config/tsm/report/orch-one").mkdir(parents=True)
    done = run(kernel, fetch_script(CHALLENGE, "one"))
    assert done.returncode != 0
    assert (kernel / "config/tsm/report/orch-one").exists()


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        (ssh.Finished(1, "", "mkdir: can't create directory: No such device\n"), "no token can be read: mkdir: can't"),
        (ssh.Finished(0, "%%%", ""), "is no base64"),
        (ssh.Finished(0, "YQ", ""), "is no base64"),
    ],
)
def test_what_is_no_token(monkeypatch: pytest.MonkeyPatch, finished: ssh.Finished, words: str) -> None:
    monkeypatch.setattr(ssh, "attempt", lambda *_args: finished)
    with pytest.raises(AttestationError, match=words) as caught:
        fetch(None, CHALLENGE)  # type: ignore[arg-type]
    assert caught.value.exit_code == 5


def test_each_fetch_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: list[str] = []

    def attempt(_link: object, script: str, _timeout: float) -> ssh.Finished:
        scripts.append(script)
        return ssh.Finished(0, "YWJj\nZGVm\n", "")

    monkeypatch.setattr(ssh, "attempt", attempt)
    assert [fetch(None, CHALLENGE), fetch(None, CHALLENGE)] == [b"abcdef"] * 2  # type: ignore[arg-type]
    assert scripts[0] != scripts[1]


def test_what_is_kept_can_be_verified_again(tmp_path: Path) -> None:
    token = Vector().bytes()
    verdict = verify(token, read_policy(None))
    kept = Attested("realm", CHALLENGE, token, verdict, 0.5).save(tmp_path / "attestation")
    assert kept.name == "realm-19700101T000000Z-00010203.json"
    table = json.loads(kept.read_text(encoding="utf-8"))
    assert table["format"] == attestation.FORMAT
    assert base64.b64decode(table["token"]) == token
    assert bytes.fromhex(table["challenge"]) == CHALLENGE
    assert table["verdict"]["accepted"] is False
