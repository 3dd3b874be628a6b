# SPDX-License-Identifier: Apache-2.0
"""Boot manifest, version, features, the hash."""

from __future__ import annotations

import hashlib
import struct

import pytest

BASE = 0x418F_F000


def manifest(*, version=3, name_in_sum=False, break_dram=False, break_console=False, count=1, bank=BASE + 64):
    console = [0x0900_0000, 1, int.from_bytes(b"pl011\0\0\0", "little"), 1, 115200, 0]
    dram = [0x4000_0000, 0xC000_0000]
    mask = (1 << 64) - 1
    dram_sum = -(count + bank + sum(dram)) + break_dram & mask
    console_sum = -(1 + BASE + 80 + sum(console) - (0 if name_in_sum else console[2])) + break_console & mask
    head = struct.pack("<II7Q", version, 0, 0, count, bank, dram_sum, 1, BASE + 80, console_sum)
    return head + struct.pack("<2Q", *dram) + struct.pack("<6Q", *console)


def parse(monitor, content):
    status, base, size, console = (int(word, 16) for word in monitor.ask(f"manifest {BASE:x} {content.hex()}").split())
    return status - (1 << 64) if status >> 63 else status, base, size, console


@pytest.mark.parametrize("name_in_sum", [False, True])
def test_manifest_with_either_console_sum(monitor, name_in_sum):
    assert parse(monitor, manifest(name_in_sum=name_in_sum)) == (0, 0x4000_0000, 0xC000_0000, 0x0900_0000)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"version": 2}, -6),
        ({"version": 0x10003}, -6),
        ({"break_dram": True}, -7),
        ({"break_console": True}, -7),
        ({"count": 2}, -7),
        ({"bank": BASE + 4096}, -7),
        ({"bank": BASE + 4088}, -7),
        ({"bank": BASE - 8}, -7),
    ],
)
def test_manifest_refused(monitor, changes, status):
    assert parse(monitor, manifest(**changes))[0] == status


def test_version_and_features(monitor):
    assert monitor.rmi("version", 0x10000) == (0, 0x10000, 0x10000, 0, 0)
    assert monitor.rmi("version", 0x10001) == (1, 0x10000, 0x10000, 0, 0)
    status, value, *_ = monitor.rmi("features", 0)
    assert (status, value & 0xFF, value >> 32 & 3, value >> 34 & 15) == (0, 52, 3, 3)
    assert value >> 8 & 1, "LPA2"
    assert monitor.rmi("features", 1)[:2] == (0, 0)


@pytest.mark.parametrize("number", [0x156, 0x160, 0x163, 0x16A, 0x18F, 0x190, 0x14F])
def test_unknown(monitor, number):
    assert monitor.smc(0xC400_0000 | number, 1, 2, 3)[0] == (1 << 64) - 1


def test_sve_hint_is_not_part_of_the_number(monitor):
    assert monitor.smc(0xC401_0150, 0x10000)[0] == 0


@pytest.mark.parametrize("size", [1, 55, 56, 63, 64, 65, 107, 119, 120, 4096])
def test_sha256(monitor, size):
    message = bytes(i * 7 & 255 for i in range(size))
    assert monitor.ask(f"sha256 {message.hex()}") == hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize("size", [1, 111, 112, 127, 128, 129, 239, 240, 256, 4096])
def test_sha512(monitor, size):
    message = bytes(i * 7 & 255 for i in range(size))
    assert monitor.ask(f"sha512 {message.hex()}") == hashlib.sha512(message).hexdigest()
