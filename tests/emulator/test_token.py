# SPDX-License-Identifier: Apache-2.0
"""Attestation tokens in a realm's Linux: what its kernel's own driver hands out, beside the bare calls.

The driver (arm-cca-guest) is behind configfs: a folder in tsm/report, a challenge in `inblob`, the token in `outblob`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator

import pytest
from cca_token import CHALLENGE, REMS, RIM, Token, read_token
from emulated import ROOT, Bed, build
from reports import REPORTS, fetch, write_challenge

ROUNDS = 8  # tokens of each CPU, at the same time


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A realm with two CPUs, configfs mounted and the module of the bare calls loaded."""
    folder = tmp_path_factory.mktemp("token")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        bed = Bed(folder / "testbed.yaml")
        bed.file.write_text((ROOT / "testbed.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        try:
            done = bed.orch("up", "--realm", "--vm", "--vcpus", "2", timeout=600)
            assert done.returncode == 0, done.stderr
            copied = bed.orch("cp", str(build(bed, "raw-token") / "raw_token.ko"), "realm:/tmp/")
            assert copied.returncode == 0, copied.stderr
            inside(bed, "insmod /tmp/raw_token.ko")
            yield bed
        finally:
            bed.orch("down")


def inside(bed: Bed, script: str) -> str:
    done = bed.orch("ssh", "realm", "--", script, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_driver(bed: Bed, challenge: bytes) -> bytes:
    return base64.b64decode(inside(bed, fetch("one", challenge)))


def by_calls(bed: Bed, challenge: bytes) -> bytes:
    file = "/sys/kernel/raw_token/token"
    return base64.b64decode(inside(bed, f"{write_challenge(challenge, file)} && base64 {file}"))


def predicted(bed: Bed) -> bytes:
    """The RIM, from artifacts alone."""
    done = bed.orch("measure", "--json", "--vcpus", "2", timeout=300)
    assert done.returncode == 0, done.stderr
    return bytes.fromhex(json.loads(done.stdout)["rim"])


def test_the_drivers_token_is_that_of_the_calls(realm: Bed) -> None:
    challenge = os.urandom(64)
    data = by_driver(realm, challenge)
    token = read_token(data)
    assert token.realm[CHALLENGE] == challenge
    assert token.realm[RIM] == predicted(realm)
    assert token.realm[REMS] == [bytes(32)] * 4
    assert by_calls(realm, challenge) == data
    assert by_driver(realm, os.urandom(64)) != data


def test_a_short_challenge_is_filled_up(realm: Bed) -> None:
    challenge = os.urandom(32)
    assert read_token(by_driver(realm, challenge)).realm[CHALLENGE] == challenge.ljust(64, b"\0")


def test_two_cpus_at_once(realm: Bed) -> None:
    """Each fetches its own, again and again, in a realm that is interrupted all the time; the host's tick goes on."""
    challenges = {cpu: [os.urandom(64) for _ in range(ROUNDS)] for cpu in (0, 1)}
    loops = []
    for cpu, mine in challenges.items():
        fetches = "; ".join(fetch(f"cpu{cpu}n{number}", each) for number, each in enumerate(mine))
        loops.append(f"taskset {1 << cpu:x} sh -c '{fetches}' >/tmp/tokens{cpu} & ")
    inside(realm, "".join(loops) + "wait")
    for cpu, mine in challenges.items():
        text = inside(realm, f"cat /tmp/tokens{cpu}")
        tokens = list(split(text))
        assert [token.realm[CHALLENGE] for token in tokens] == mine, f"CPU {cpu}"


def split(text: str) -> Iterator[Token]:
    """Tokens from base64 texts one behind the other: each ends where its padding or a short line does."""
    lines: list[str] = []
    for line in text.split():
        lines.append(line)
        if len(line) < 76:
            yield read_token(base64.b64decode("".join(lines)))
            lines = []
    assert not lines, "a text whose last line is full"


def test_a_normal_vm_has_none(realm: Bed) -> None:
    done = realm.orch("ssh", "vm", "--", f"mkdir {REPORTS}/one")
    assert done.returncode != 0
    assert "No such device" in done.stderr
