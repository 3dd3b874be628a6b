# SPDX-License-Identifier: Apache-2.0
"""Attestation tokens and extended measurements in the core (A7.1, A7.2, B5.3); EL3 and signatures are arch_host.c's."""

from __future__ import annotations

import hashlib
import struct

import cbor2
import pytest

SYNC, IRQ, FIQ = 0, 1, 2
SUCCESS, INPUT, STATE, INCOMPLETE, UNKNOWN = range(5)
SMC = 0x17 << 26
EXTEND, INIT, CONTINUE, READ = 0xC400_0193, 0xC400_0194, 0xC400_0195, 0xC400_0192
SIGNERS = 64
CHALLENGE = bytes(range(100, 164))
SIGN_IRQ, SIGN_FIQ, SIGN_FAILED = 2, 3, 1


class Guest:
    """A realm with a page for tokens, and what its CPUs call."""

    def __init__(self, realm, *, recs=1, params=None):
        self.realm, self.monitor = realm, realm.monitor
        realm.init_ripas(realm.RAM, realm.RAM + 0x10000)
        self.page = realm.data(realm.RAM, bytes(4096))
        self.recs = [realm.rec(mpidr=index % 16 | index // 16 << 8, pc=realm.RAM) for index in range(recs)]
        if params is not None:
            page, granule = params
            self.monitor.ok("rec_create", realm.rd, granule, self.monitor.page(page))
            self.recs.append(granule)
        realm.activate()

    def call(self, *words, rec=0):
        """x0..x16 after an RSI call that does not leave the realm."""
        self.monitor.trap(SYNC, SMC, gprs=words)
        assert self.realm.enter(self.recs[rec]) == 0
        assert self.realm.reason == IRQ
        return self.monitor.rec_state()[3][:17]

    def init(self, challenge=CHALLENGE, rec=0):
        status, size, *_ = self.call(INIT, *struct.unpack("<8Q", challenge), rec=rec)
        assert status == SUCCESS
        return size

    def read(self, *, size=4096, rec=0):
        """The rest of a token, in pieces of `size`."""
        token, status = b"", INCOMPLETE
        while status == INCOMPLETE:
            status, count, *_ = self.call(CONTINUE, self.realm.RAM, 16, min(size, 4080), rec=rec)
            token += self.monitor.read(self.page + 16, count) if count else b""
        assert status == SUCCESS
        return token


@pytest.fixture
def guest(monitor, realm):
    assert monitor.ask("attest 1 1") == "nothing"
    return Guest(realm)


def parts(token):
    outer = cbor2.loads(token)
    assert outer.tag == 399
    assert list(outer.value) == [44234, 44241]
    return outer.value[44234], cbor2.loads(outer.value[44241])


def test_what_a_token_says(guest):
    size = guest.init()
    token = guest.read()
    assert len(token) == size
    platform, realm = parts(token)
    assert realm.tag == 18
    protected, unprotected, payload, signature = realm.value
    assert (cbor2.loads(protected), unprotected) == ({1: -35}, {})
    claims = cbor2.loads(payload)
    key = {1: 2, -1: 2, -2: b"\2" * 48, -3: b"\3" * 48}
    assert claims == {
        10: CHALLENGE, 265: "tag:arm.com,2023:realm#1.0.0", 44235: bytes(range(64)), 44236: "sha-256",
        44237: cbor2.dumps(key), 44238: guest.realm.rim, 44239: [bytes(32)] * 4, 44240: "sha-256",
    }  # fmt: skip
    assert platform[:32] == hashlib.sha256(cbor2.dumps(key)).digest(), "EL3 is asked with the key's hash"
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    assert signature == hashlib.sha256(signed).digest() * 3


def test_the_wrapper_of_later_drafts(records_monitor, new_realm):
    """The same two tokens, as records."""
    assert records_monitor.ask("attest 1 1") == "nothing"
    guest = Guest(new_realm(records_monitor))
    size = guest.init()
    token = guest.read()
    assert len(token) == size
    outer = cbor2.loads(token)
    assert outer.tag == 907
    assert [kind for kind, _ in outer.value.values()] == [263, 263]
    assert list(outer.value) == [44234, 44241]
    claims = cbor2.loads(cbor2.loads(outer.value[44241][1]).value[2])
    assert claims[10] == CHALLENGE
    key = cbor2.dumps({1: 2, -1: 2, -2: b"\2" * 48, -3: b"\3" * 48})
    assert outer.value[44234][1][:32] == hashlib.sha256(key).digest()


def test_measurements_of_64_bytes(monitor, new_realm):
    assert monitor.ask("attest 1 1") == "nothing"
    guest = Guest(new_realm(monitor, hash_algo=1))
    value = bytes(range(64))
    assert guest.call(EXTEND, 2, 48, *struct.unpack("<8Q", value))[0] == SUCCESS
    size = guest.init()
    token = guest.read()
    assert len(token) == size
    claims = cbor2.loads(parts(token)[1].value[2])
    rem = hashlib.sha512(bytes(64) + value[:48]).digest()
    assert (claims[44236], claims[44238]) == ("sha-512", guest.realm.rim)
    assert claims[44239] == [bytes(64), rem, bytes(64), bytes(64)]
    assert claims[44240] == "sha-256", "which is the key's, not the realm's"


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 4080])
def test_in_pieces(guest, size):
    guest.init()
    whole = guest.read()
    guest.init()
    assert guest.read(size=size) == whole


def test_there_is_one_at_a_time(guest):
    assert guest.call(CONTINUE, guest.realm.RAM, 0, 64)[0] == STATE
    guest.init(bytes(64))
    guest.call(CONTINUE, guest.realm.RAM, 0, 64)
    guest.init()
    _, realm = parts(guest.read())
    assert cbor2.loads(realm.value[2])[10] == CHALLENGE
    assert guest.call(CONTINUE, guest.realm.RAM, 0, 64)[0] == STATE


@pytest.mark.parametrize(
    "bad", [(8, 0, 64), (1 << 32, 0, 64), (0, 4096, 0), (0, 0, 4097), (0, 64, 4033), (0, 64, -1), (0, -1, 64)]
)
def test_wrong_buffers(guest, bad):
    guest.init()
    ipa, offset, size = bad
    assert guest.call(CONTINUE, guest.realm.RAM + ipa, offset, size)[0] == INPUT
    assert len(guest.read()) > 3000, "the token is still there"


def test_memory_that_is_not_there(guest):
    guest.init()
    absent, behind_init = guest.realm.RAM + 0x3000, guest.monitor.rec_state()[2]
    guest.monitor.trap(SYNC, SMC, gprs=(CONTINUE, absent, 0, 64))
    assert guest.realm.enter(guest.recs[0]) == 0
    assert (guest.realm.reason, guest.realm.exit_word(0x110)) == (SYNC, absent >> 8)
    assert guest.monitor.rec_state()[2] == behind_init, "the call is made again"
    assert guest.call(CONTINUE, 0x4000_0000, 0, 64)[0] == INPUT, "RIPAS is EMPTY"


@pytest.mark.parametrize(("kind", "reason"), [(SIGN_IRQ, IRQ), (SIGN_FIQ, FIQ)])
def test_an_interrupt_leaves_the_realm(guest, kind, reason):
    guest.init()
    begun = int(guest.monitor.ask(f"signatures 3 {kind}"), 16)
    _, _, before, _ = guest.monitor.rec_state()
    for _ in range(3):
        guest.monitor.trap(SYNC, SMC, gprs=(CONTINUE, guest.realm.RAM, 0, 64))
        assert guest.realm.enter(guest.recs[0]) == 0
        assert guest.realm.reason == reason
        _, _, pc, gprs = guest.monitor.rec_state()
        assert gprs[:4] == [INCOMPLETE, 0, 0, 0]
        assert pc == before + 4, "the realm goes on behind the call, and may take its own interrupts"
        before = pc
    guest.read()
    assert int(guest.monitor.ask("signatures 0 2"), 16) == begun + 1, "one signature, gone on with"


def test_a_signature_that_fails(guest):
    guest.init()
    guest.monitor.ask(f"signatures 1 {SIGN_FAILED}")
    assert guest.call(CONTINUE, guest.realm.RAM, 0, 64)[0] == UNKNOWN
    assert guest.call(CONTINUE, guest.realm.RAM, 0, 64)[0] == STATE


def begun(guest):
    return int(guest.monitor.ask("signatures 0 2"), 16)


def break_off(guest, rec):
    guest.monitor.ask(f"signatures 1 {SIGN_IRQ}")
    assert guest.call(CONTINUE, guest.realm.RAM, 0, 64, rec=rec)[0] == INCOMPLETE


def test_more_signatures_than_stacks(monitor, realm):
    """The one that has waited longest starts anew; every token comes out right."""
    monitor.ask("attest 1 1")
    guest = Guest(realm, recs=SIGNERS + 2)
    challenges = [bytes([index]) * 64 for index in range(SIGNERS + 2)]
    for index, challenge in enumerate(challenges):
        guest.init(challenge, rec=index)
        break_off(guest, index)
    assert begun(guest) == SIGNERS + 2
    break_off(guest, SIGNERS + 1)
    assert begun(guest) == SIGNERS + 2, "the last one's is still there"
    break_off(guest, 0)
    assert begun(guest) == SIGNERS + 3, "the first one's was taken"
    for index, challenge in enumerate(challenges):
        _, signed = parts(guest.read(rec=index))
        protected, _, payload, signature = signed.value
        assert cbor2.loads(payload)[10] == challenge
        message = cbor2.dumps(["Signature1", protected, b"", payload])
        assert signature == hashlib.sha256(message).digest() * 3


def test_a_new_token_does_not_go_on_with_the_old_signature(guest):
    guest.init(bytes(64))
    break_off(guest, 0)
    guest.init()
    _, signed = parts(guest.read())
    protected, _, payload, signature = signed.value
    message = cbor2.dumps(["Signature1", protected, b"", payload])
    assert signature == hashlib.sha256(message).digest() * 3


def test_a_rec_that_goes_takes_its_signature_along(monitor, realm, new_realm, new_params):
    """The next REC in the same granule neither has the old one's token nor goes on with its signature."""
    monitor.ask("attest 1 1")
    guest = Guest(realm)
    guest.init(bytes(64))
    break_off(guest, 0)
    (granule,) = guest.recs
    monitor.ok("rec_destroy", granule)
    other = Guest(new_realm(monitor, vmid=2), recs=0, params=(new_params.rec(pc=realm.RAM), granule))
    assert other.call(CONTINUE, realm.RAM, 0, 64)[0] == STATE
    other.init()
    before = begun(other)
    other.read()
    assert begun(other) == before + 1


@pytest.mark.parametrize(
    ("key", "token", "missing"),
    [(0, 1, "EL3 gives no attestation key"), (1, 0, "EL3 gives no platform token")],
)
def test_without_el3s_part_there_are_no_tokens(monitor, realm, key, token, missing):
    assert monitor.ask(f"attest {key} {token}") == missing
    guest = Guest(realm)
    assert guest.init() == 0
    assert guest.call(CONTINUE, realm.RAM, 0, 64)[0] == UNKNOWN
    assert guest.call(EXTEND, 1, 32, 7)[0] == SUCCESS, "the rest is there"


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64])
def test_extend(guest, size):
    value = bytes(range(200, 264 - 8)) + bytes(8)
    before = guest.call(READ, 3)[1:9]
    assert before == [0] * 8
    words = struct.unpack("<8Q", value)
    assert guest.call(EXTEND, 3, size, *words)[:11] == [SUCCESS, 0, 0, 0, *words[1:]], "x4 and up are kept"
    wanted = hashlib.sha256(bytes(32) + value[:size]).digest()
    assert struct.pack("<8Q", *guest.call(READ, 3)[1:9]) == wanted.ljust(64, b"\0")
    guest.call(EXTEND, 3, size, *struct.unpack("<8Q", value))
    wanted = hashlib.sha256(wanted + value[:size]).digest()
    assert struct.pack("<8Q", *guest.call(READ, 3)[1:9]) == wanted.ljust(64, b"\0")
    assert guest.call(READ, 2)[1:9] == [0] * 8


@pytest.mark.parametrize(("index", "size"), [(0, 32), (5, 32), (-1, 32), (1, 65), (1, -1)])
def test_extend_refused(guest, index, size):
    assert guest.call(EXTEND, index, size, 1)[0] == INPUT
    assert guest.call(READ, 1)[1:9] == [0] * 8


def test_a_token_holds_the_measurements_of_its_beginning(guest):
    guest.call(EXTEND, 2, 64, 1)
    guest.init()
    guest.call(EXTEND, 2, 64, 2)
    _, signed = parts(guest.read())
    old = hashlib.sha256(bytes(32) + (1).to_bytes(64, "little")).digest()
    assert cbor2.loads(signed.value[2])[44239] == [bytes(32), old, bytes(32), bytes(32)]
