# SPDX-License-Identifier: Apache-2.0
"""`orch attest` against realms that run: accepted as they are; other artifacts, tokens or policies are refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from emulated import Bed

NOBODY = "name: strict\nplatform:\n  keys:\n    - known: tf-a-qemu-platform\n"


@pytest.fixture(scope="module")
def realms(module_bed: Bed) -> Bed:
    """Two realms and a VM."""
    done = module_bed.orch("up", "--realm", "2", "--vm", timeout=600)
    assert done.returncode == 0, done.stderr
    return module_bed


def attest(bed: Bed, *options: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """The verdict with its token, and what was said of a refusal."""
    done = bed.orch("attest", "--json", *options, timeout=300)
    assert done.returncode == code, done.stdout[-500:] + done.stderr
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_a_realm_is_attested(realms: Bed) -> None:
    table, _ = attest(realms)
    verdict = table["verdict"]
    assert verdict["accepted"]
    assert (verdict["wrapper"], verdict["profiles"]) == (399, {"platform": "2023", "realm": "2023"})
    assert [leg["state"] for leg in verdict["legs"]] == ["holds"] * 3
    states = {claim["name"]: claim["state"] for claim in verdict["claims"]}
    assert (states["challenge"], states["rim"], states["realm hash algorithm"]) == ("holds", "holds", "holds")
    assert states["rem 0"] == "no verdict"
    assert [each["name"] for each in verdict["test_keys"]] == ["tf-a-qemu-platform", "tf-a-qemu-realm"]
    measured = realms.orch("measure", "--json", timeout=300)
    found = {claim["name"]: claim["found"] for claim in verdict["claims"]}
    assert found["rim"] == json.loads(measured.stdout)["rim"]


def test_in_words(realms: Bed) -> None:
    done = realms.orch("attest", timeout=300)
    assert done.returncode == 0, done.stderr
    assert "firmware and monitor are not attested" in done.stdout
    assert "accepted; no verdict on rem 0" in done.stdout.splitlines()[-1]


def test_nothing_stays_in_the_realm(realms: Bed) -> None:
    attest(realms)
    assert realms.ask("realm", "ls /sys/kernel/config/tsm/report").stdout == ""


def test_what_is_kept_can_be_verified_but_is_old(realms: Bed, tmp_path: Path) -> None:
    """The token of yesterday, or of another realm that is made alike: its challenge is another."""
    one, two = (attest(realms, "--save", "--realm", name)[0] for name in ("realm", "realm2"))
    kept = json.loads(Path(one["file"]).read_text(encoding="utf-8"))
    token = tmp_path / "token"
    token.write_bytes(base64.b64decode(kept["token"]))
    good = realms.orch("attest", "verify", str(token), "--challenge", kept["challenge"])
    assert good.returncode == 0, good.stderr
    replayed = realms.orch("attest", "verify", str(token), "--challenge", two["challenge"])
    assert replayed.returncode == 5
    assert "challenge: not the one that was asked for" in replayed.stderr
    changed = bytearray(token.read_bytes())
    changed[-1] ^= 1
    token.write_bytes(changed)
    broken = realms.orch("attest", "verify", str(token))
    assert broken.returncode == 5
    assert "realm signature: it was not made with that key" in broken.stderr


def test_policies(realms: Bed, tmp_path: Path) -> None:
    """A policy that does not allow test keys refuses this machine; one for another measurement refuses this realm."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(NOBODY, encoding="utf-8")
    table, said = attest(realms, "--policy", str(policy), code=5)
    assert len(table["verdict"]["reasons"]) == 2
    assert "the realm key is tf-a-qemu-realm, a public test value" in said
    policy.write_text(f'{NOBODY}test_keys: allowed\nrealm:\n  rim: ["{"00" * 32}"]\n', encoding="utf-8")
    table, said = attest(realms, "--policy", str(policy), code=5)
    assert [each.partition(":")[0] for each in table["verdict"]["reasons"]] == ["rim"]


def test_a_realm_of_other_artifacts(realms: Bed) -> None:
    """One more word on the command line of the testbed file: what runs is not what would be made now."""
    text = realms.file.read_text(encoding="utf-8")
    shape = 'guest: {"cmdline_extra": "loglevel=3 orch.note=other"}\n'
    realms.file.write_text(re.sub(r"^guest: .*\n|\Z", "", text, flags=re.M) + shape, encoding="utf-8")
    try:
        asked = realms.orch("measure", "--json", timeout=300)
        assert asked.returncode == 0, asked.stderr
        other = json.loads(asked.stdout)["rim"]
    finally:
        realms.file.write_text(text, encoding="utf-8")
    policy = realms.file.with_name("other.yaml")
    policy.write_text(f'{NOBODY}test_keys: allowed\nrealm:\n  rim: ["{other}"]\n', encoding="utf-8")
    _, said = attest(realms, "--policy", str(policy), code=5)
    assert f"rim: not {other}" in said


def test_who_has_no_token(realms: Bed) -> None:
    _, said = attest(realms, "--realm", "vm", code=2)
    assert "the vm is no realm" in said
    _, said = attest(realms, "--realm", "realm3", code=4)
    assert "the realm3 is not up" in said
