# SPDX-License-Identifier: Apache-2.0
"""The initial measurement: against values made with a shell and sha256sum, and what it depends on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.attest.rim import PAGE, Algorithm, Measurements, Rim, replay
from orchestrator.errors import AttestationError
from orchestrator.schema.population import parse_population

RAM, ENTRY = 0x4000_0000, 0x20_0000
# Printed by by_hand.sh; kept here so that neither it nor the code can change alone.
BY_HAND = {
    "create": "53de626e00bd6e56fdab0d092b7963081274c9b3d1cbbe5bbfe87ce9f2f294e8",
    "ripas": "172773f7b13f83e6230b8f55a19ca69fcf22daa56d58954225b5869e0f97706f",
    "data": "b0639f72ee342f454d0835b737ede4c5e6d5324aeefd3535851c16f5ee0a10f7",
    "rec": "dbf48c10a8f96c65ebfdac6897f2fbb25a4891a672569cdb16a3eaaa4ebf7c2f",
}
SUMS = {Algorithm.SHA_256: "sha256sum", Algorithm.SHA_512: "sha512sum"}


def by_hand(algorithm: Algorithm) -> dict[str, str]:
    script = Path(__file__).with_name("by_hand.sh")
    done = subprocess.run(
        ["bash", script, SUMS[algorithm], str(int(algorithm))], capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_formula_as_by_hand(algorithm: Algorithm) -> None:
    rim = Rim(s2sz=33, num_bps=5, num_wps=3, algorithm=algorithm)
    seen = {"create": rim.value.hex()}
    rim.ripas(RAM, RAM + ENTRY)
    seen["ripas"] = rim.value.hex()
    rim.data(RAM, 1, b"abc".ljust(PAGE, b"\0"))
    seen["data"] = rim.value.hex()
    rim.rec(1, RAM, 0x4000_1000, 0, 0, 0, 0, 0, 0, 0)
    seen["rec"] = rim.value.hex()
    assert seen == by_hand(algorithm)
    assert len(rim.value) == algorithm.size
    assert len(rim.field) == 64
    if algorithm is Algorithm.SHA_256:
        assert seen == BY_HAND


def description(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The same realm as by hand, with its page in a file; `changes` by kind of step."""
    steps: list[dict[str, Any]] = [
        {"step": "create", "ipa_bits": 33, "hash_algo": 0, "num_bps": 5, "num_wps": 3, "rpv": "00" * 64},
        {"step": "ripas", "base": RAM, "top": RAM + ENTRY, "entry_bytes": ENTRY},
        {"step": "data", "ipa": RAM, "flags": 1, "source": "kernel", "bytes": 3},
        {"step": "rec", "index": 0, "mpidr": 0, "flags": 1, "pc": RAM, "gprs": [0x4000_1000, 0, 0, 0, 0, 0, 0, 0]},
        {"step": "activate"},
    ]
    return [step | changes.get(step["step"], {}) for step in steps]


def measured(steps: list[dict[str, Any]], kernel: bytes = b"abc") -> Measurements:
    return replay(parse_population("\n".join(map(json.dumps, steps))), {"kernel": memoryview(kernel)})


def test_replay_is_the_chain() -> None:
    found = measured(description())
    assert found.rim.hex() == BY_HAND["rec"]
    assert found.as_table() == {"algorithm": "sha-256", "rim": BY_HAND["rec"], "rems": ["00" * 32] * 4}
    longer = measured(description(create={"hash_algo": 1}))
    assert longer.rim.hex() == by_hand(Algorithm.SHA_512)["rec"]
    assert longer.rems == (bytes(64),) * 4


def test_bytes_that_the_description_carries() -> None:
    assert measured(description(data={"source": "dtb", "content": "YWJj"})).rim.hex() == BY_HAND["rec"]


@pytest.mark.parametrize(
    "change",
    [
        {"create": {"ipa_bits": 34}},
        {"create": {"num_bps": 4}},
        {"create": {"num_wps": 4}},
        {"create": {"hash_algo": 1}},
        {"ripas": {"top": RAM + 2 * ENTRY}},
        {"ripas": {"base": RAM - ENTRY}},
        {"ripas": {"entry_bytes": ENTRY // 2}},
        {"data": {"ipa": RAM + PAGE}},
        {"data": {"flags": 0}},
        {"rec": {"flags": 0}},
        {"rec": {"pc": RAM + 4}},
        *({"rec": {"gprs": [int(i == n) for i in range(8)]}} for n in range(8)),
    ],
)
def test_each_field_counts(change: dict[str, Any]) -> None:
    assert measured(description(**change)).rim != measured(description()).rim


@pytest.mark.parametrize("change", [{"create": {"rpv": "01" * 64}}, {"rec": {"mpidr": 1}}])
def test_what_does_not_count(change: dict[str, Any]) -> None:
    """The personalization value, and which CPU a REC is: A7.1, B4.3 REC_CREATE."""
    assert measured(description(**change)).rim == measured(description()).rim


def test_vcpus_that_wait_do_not_count() -> None:
    steps = description()
    steps.insert(4, {**steps[3], "index": 1, "mpidr": 1, "flags": 0, "pc": 0, "gprs": [0] * 8})
    assert measured(steps).rim == measured(description()).rim


def test_order_counts() -> None:
    create, ripas, data, rec, activate = description()
    values = {
        measured([create, *steps, activate]).rim
        for steps in ([ripas, data, rec], [data, ripas, rec], [rec, ripas, data], [ripas, data], [data, rec])
    }
    assert len(values) == 5


def test_content_counts_to_its_last_byte_and_is_filled_up_with_zeros() -> None:
    size = 2 * PAGE + 7
    steps = description(data={"bytes": size})
    base = bytes(range(256)) * 33
    first = measured(steps, base[:size]).rim
    for place in (0, PAGE - 1, PAGE, size - 1):
        changed = bytearray(base[:size])
        changed[place] ^= 1
        assert measured(steps, bytes(changed)).rim != first, place
    padded = base[:size].ljust(3 * PAGE, b"\0")
    assert measured(description(data={"bytes": 3 * PAGE}), padded).rim == first


def test_page_of_another_size_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="4096"):
        Rim(s2sz=33, num_bps=5, num_wps=3).data(RAM, 1, b"short")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "does not begin with its creation"),
        (description()[1:], "does not begin with its creation"),
        (description()[:-1], "does not end with its activation"),
        ([description()[0], *description()], "'create' in the middle"),
        ([*description(), description()[-1]], "'activate' in the middle"),
        ([*description(), {"step": "fold"}], "line 6: .*fold"),
        (description(create={"hash_algo": 2}), "unknown hash algorithm 2"),
        (description(create={"hash_algo": 256}), "line 1: create.hash_algo"),
        (description(create={"lpa2": 1}), "line 1: create.lpa2"),
        (description(ripas={"top": RAM + PAGE}), "not made of entries"),
        (description(ripas={"top": RAM}), "not made of entries"),
        (description(ripas={"entry_bytes": 0}), "line 2: ripas.entry_bytes"),
        (description(data={"ipa": RAM + 1}), "no page's address"),
        (description(data={"source": "disk"}), "no bytes for its 'disk'"),
        (description(data={"bytes": 4}), "has 3 bytes, its description says 4"),
        (description(data={"content": "!"}), "line 3: data.content"),
        (description(rec={"index": 1}), "REC 1 where REC 0 is due"),
        (description(rec={"gprs": [0] * 7}), "line 4: rec.gprs"),
        (description(rec={"pc": 1 << 64}), "line 4: rec.pc"),
        (description(rec={"pc": "0"}), "line 4: rec.pc"),
    ],
)
def test_wrong_descriptions(steps: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(AttestationError, match=words):
        measured(steps)


def test_description_that_is_no_json() -> None:
    with pytest.raises(AttestationError, match="line 1"):
        parse_population("rvmm: something\n")
