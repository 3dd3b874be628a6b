# SPDX-License-Identifier: Apache-2.0
"""Bare-metal checks of the RMM through RMI and RSI alone: one boot of a payload in Linux' place (rmm-abi).

`ORCH_RMM=/path/rmm.bin pytest tests/emulator/test_rmm_abi.py` runs them against another RMM image for this platform,
which the firmware node then carries in place of the project's (its parameter rmm_file). Nothing here depends on whose
RMM it is.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from bare_metal import prepare, run_payload
from cca_token import HASH, PERSONALIZATION, REMS, RIM, Token, extended, read_token

from orchestrator.attest.rim import Algorithm, Rim

PAGE = 4096
CHECKS = 100  # at least; a payload that ends early must not pass
SECONDS = 120


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """What the payload printed, and the image of the realm inside it."""
    parts = prepare()
    console = run_payload(parts, "checks", tmp_path_factory.mktemp("rmm-abi"), timeout=SECONDS)
    return console, (parts.payloads / "realm.bin").read_bytes()


def failures(console: str) -> list[str]:
    """The failed checks of a TAP report, each behind its diagnostics."""
    failed, diagnostics = [], []
    for line in console.splitlines():
        if line.startswith("# ") and not line.startswith("# rim"):
            diagnostics.append(line)
        elif line.startswith("not ok "):
            failed += [*diagnostics, line]
        if line.startswith(("ok ", "not ok ")):
            diagnostics = []
    return failed


def test_all_checks_pass(machine: tuple[str, bytes]) -> None:
    console, _ = machine
    assert "Bail out!" not in console, console[console.index("Bail out!") :].splitlines()[0]
    results = [line for line in console.splitlines() if line.startswith(("ok ", "not ok "))]
    assert len(results) >= CHECKS
    assert f"1..{len(results)}" in console.splitlines()
    failed = failures(console)
    assert not failed, "\n" + "\n".join(failed)


def replayed(console: str, name: str, image: bytes) -> tuple[Rim, str]:
    """The RIM computed from what the payload says that it asked for, and the one that the realm read, in hex."""
    rim, seen = None, ""
    for line in console.splitlines():
        words = line.split()
        if words[:3] != ["#", "rim", name]:
            continue
        what, values = words[3], words[4:]
        if what == "is":
            seen = values[0]
            continue
        numbers = [int(value, 16) for value in values]
        if what == "create":
            flags, s2sz, num_bps, num_wps, algorithm = numbers
            rim = Rim(flags=flags, s2sz=s2sz, num_bps=num_bps, num_wps=num_wps, algorithm=Algorithm(algorithm))
            continue
        assert rim is not None, line
        if what == "image":
            ipa, flags, offset = numbers
            rim.data(ipa, flags, image[offset : offset + PAGE].ljust(PAGE, b"\0"))
        elif what == "number":
            ipa, flags, first = numbers
            rim.data(ipa, flags, struct.pack("<512Q", *range(first, first + 512)))
        elif what == "rec":
            rim.rec(*numbers)
        else:
            assert what == "ripas", line
            rim.ripas(*numbers)
    assert rim is not None
    return rim, seen


@pytest.mark.parametrize("name", ["A", "B"])
def test_initial_measurement(machine: tuple[str, bytes], name: str) -> None:
    console, image = machine
    rim, seen = replayed(console, name, image)
    assert seen == rim.field.hex()


def test_initial_measurement_depends_on_everything(machine: tuple[str, bytes]) -> None:
    """The computation itself: one changed byte of the image, or one line less, gives another value."""
    console, image = machine
    rim, _ = replayed(console, "A", image)
    assert replayed(console, "A", b"\xff" + image[1:])[0].value != rim.value
    lines = console.splitlines()
    for what in ("ripas", "image", "number", "rec"):
        without = [line for line in lines if f"# rim A {what} " not in line]
        assert len(without) < len(lines)
        assert replayed("\n".join(without), "A", image)[0].value != rim.value


def tokens(console: str, name: str) -> list[tuple[bytes, bytes]]:
    """Challenges and tokens of a realm, in the order in which it got them."""
    lines = [line.split() for line in console.splitlines() if line.startswith(f"# token {name} ")]
    return [(bytes.fromhex(challenge), bytes.fromhex(token)) for *_, challenge, token in lines]


def rems(console: str, name: str) -> tuple[list[bytes], list[bytes]]:
    """The REMs computed from what the realm says it extended, and as it read them."""
    computed, seen = [bytes(32)] * 4, []
    for line in console.splitlines():
        words = line.split()
        if words[:4] == ["#", "rem", name, "extend"]:
            index, size = int(words[4]) - 1, int(words[5])
            computed[index] = extended(computed[index], bytes.fromhex(words[6])[:size])
        elif words[:4] == ["#", "rem", name, "is"]:
            seen.append(bytes.fromhex(words[5]))
    return computed, seen


def test_tokens(machine: tuple[str, bytes]) -> None:
    """Signed by the key that the platform vouches for, with the challenge and the realm's measurements."""
    console, image = machine
    rim, _ = replayed(console, "A", image)
    found = tokens(console, "A")
    assert len(found) == 3
    read: list[Token] = []
    for challenge, data in found:
        token = read_token(data)
        assert token.realm[10] == challenge
        assert token.realm[HASH] == "sha-256"
        assert token.realm[RIM] == rim.value
        assert token.realm[PERSONALIZATION] == bytes(0xC0 + i for i in range(64))
        read.append(token)
    computed, _ = rems(console, "A")
    assert [token.realm[REMS] for token in read] == [[bytes(32)] * 4, [bytes(32)] * 4, computed]
    assert len({token.realm_signature for token in read}) == len(read)


def test_a_changed_token_is_none(machine: tuple[str, bytes]) -> None:
    """The reader sees any changed byte: these checks can fail."""
    console, _ = machine
    _, data = tokens(console, "A")[0]
    for place in (5, 40, 700, 1_500, len(data) - 500, len(data) - 110, len(data) - 60, len(data) - 1):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((AssertionError, ValueError, KeyError, TypeError)):
            read_token(changed)


def test_extended_measurements(machine: tuple[str, bytes]) -> None:
    console, _ = machine
    computed, seen = rems(console, "A")
    assert [value.ljust(64, b"\0") for value in computed] == seen
    assert len(set(computed)) == 4


def test_measurements_with_sha_512(machine: tuple[str, bytes]) -> None:
    console, image = machine
    if "# SKIP no SHA-512" in console:
        pytest.skip("this RMM has no SHA-512")
    rim, seen = replayed(console, "C", image)
    assert seen == rim.value.hex()
    ((challenge, data),) = tokens(console, "C")
    token = read_token(data)
    rem = extended(bytes(64), struct.pack("<Q", 0x512), "sha512")
    assert token.realm[10] == challenge
    assert (token.realm[HASH], token.realm[RIM]) == ("sha-512", rim.value)
    assert token.realm[REMS] == [rem, bytes(64), bytes(64), bytes(64)]
    assert f"# rem C is 1 {rem.hex()}" in console


def test_failures_are_found_with_their_diagnostics() -> None:
    console = "# rim A x\n# a.c:1: x: expected 1, got 2\nnot ok 1 - a\nok 2 - b\n# features\nok 3 - c\n"
    assert failures(console) == ["# a.c:1: x: expected 1, got 2", "not ok 1 - a"]


def test_unexpected_exception_ends_the_machine(tmp_path: Path) -> None:
    """The payload says what happened and where, and switches off: a granule protection fault (DFSC 0x28) of a read."""
    console = run_payload(prepare(), "crash", tmp_path, timeout=SECONDS)
    assert re.search(r"^Bail out! exception in vector 4: ESR 0x96000028 ELR 0x6\w+ FAR 0x40100000$", console, re.M)
    assert "1..0" not in console


def test_time_out_names_the_payload(tmp_path: Path) -> None:
    """A machine that does not end is ended, with the console's last lines in the message."""
    with pytest.raises(AssertionError, match=r"payload checks: timed out after 0.3 s(.|\n)*"):
        run_payload(prepare(), "checks", tmp_path, timeout=0.3)
