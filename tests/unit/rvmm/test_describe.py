# SPDX-License-Identifier: Apache-2.0
"""`rvmm describe`: the canonical population in words, as the options and files make it."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.attest.rim import replay
from orchestrator.schema.population import parse_population

if TYPE_CHECKING:
    from pathlib import Path

MIB, RAM, ENTRY = 1 << 20, 0x4000_0000, 2 << 20
KERNEL_BYTES, INITRD_BYTES = 0x2001, 5000
INITRD_AT, DTB_AT = RAM + 4 * MIB, RAM + 6 * MIB


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    header = bytearray(KERNEL_BYTES)
    struct.pack_into("<QQQ", header, 8, 0, 4 * MIB, 10)
    struct.pack_into("<I", header, 56, 0x644D5241)
    (tmp_path / "Image").write_bytes(header)
    (tmp_path / "initrd").write_bytes(b"x" * INITRD_BYTES)
    return ["--kernel", str(tmp_path / "Image"), "--initrd", str(tmp_path / "initrd")]


def call(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def steps(program: Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in call(program, "describe", *arguments).splitlines()]


def test_realm(describe: Path, files: list[str]) -> None:
    arguments = ["--world", "realm", *files, "--cmdline", 'a="b"', "--mem", "64", "--vcpus", "2"]
    found = steps(describe, *arguments)
    tree = subprocess.run([describe, "dump-dtb", *arguments], capture_output=True, check=True).stdout
    content = found[4].pop("content")
    assert base64.b64decode(content, validate=True) == tree
    assert found == [
        {"step": "create", "ipa_bits": 33, "hash_algo": 0, "num_bps": 5, "num_wps": 3, "rpv": "00" * 64},
        {"step": "ripas", "base": RAM, "top": RAM + 64 * MIB, "entry_bytes": ENTRY},
        {"step": "data", "ipa": RAM, "flags": 1, "source": "kernel", "bytes": KERNEL_BYTES},
        {"step": "data", "ipa": INITRD_AT, "flags": 1, "source": "initrd", "bytes": INITRD_BYTES},
        {"step": "data", "ipa": DTB_AT, "flags": 1, "source": "dtb", "bytes": len(tree)},
        {"step": "rec", "index": 0, "mpidr": 0, "flags": 1, "pc": RAM, "gprs": [DTB_AT, *[0] * 7]},
        {"step": "rec", "index": 1, "mpidr": 1, "flags": 0, "pc": 0, "gprs": [0] * 8},
        {"step": "activate"},
    ]


@pytest.mark.parametrize("extra", range(3))
def test_base64_of_every_length(describe: Path, files: list[str], extra: int) -> None:
    """Trees that grow by 4 bytes each: three sizes in a row leave 0, 1 and 2 bytes at the end of the last group."""
    arguments = ["--world", "realm", *files, "--cmdline", "x" * (40 + 4 * extra)]
    tree = subprocess.run([describe, "dump-dtb", *arguments], capture_output=True, check=True).stdout
    assert base64.b64decode(steps(describe, *arguments)[4]["content"], validate=True) == tree


def test_vm_is_the_same_but_for_the_realms_attributes(describe: Path, files: list[str]) -> None:
    realm, vm = (steps(describe, "--world", world, *files, "--cmdline", "x") for world in ("realm", "vm"))
    assert realm[0]["step"] == "create"
    assert realm[1:] == vm


def test_what_is_beside_the_content_changes_nothing(describe: Path, files: list[str]) -> None:
    """Tap, address, disk, run, place, seed: a realm's measurement is that of its content and shape."""
    plain = ["--world", "realm", *files, "--cmdline", "x"]
    more = [
        "--tap",
        "t",
        "--tap-address",
        "10.0.0.1/24",
        "--mac",
        "02:00:00:00:00:07",
        "--disk",
        "/d",
        "--runtime",
        "/r",
        "--run-id",
        "7",
    ]
    more += ["--cpu", "1", "--seed", "3", "--pretouch", "--detach", "--dir", "/nowhere", "--unconfined"]
    assert call(describe, "describe", *plain, *more) == call(describe, "describe", *plain)


def test_measurement_follows_each_option(describe: Path, files: list[str]) -> None:
    def rim(*options: str) -> bytes:
        text = call(describe, "describe", "--world", "realm", *files, *options)
        sources = {name: memoryview(open(files[place], "rb").read()) for name, place in (("kernel", 1), ("initrd", 3))}  # noqa: SIM115, PTH123
        return replay(parse_population(text), sources).rim

    changed = [["--mem", "64"], ["--mem", "3072"], ["--vcpus", "2"], ["--vcpus", "8"], []]
    values = {rim("--cmdline", "x", *options) for options in changed}
    assert len(values | {rim("--cmdline", "y")}) == len(changed) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--world", "realm"], 2, "--kernel"),
        (["--world", "realm", "--mem", "31"], 2, "--mem"),
        (["--world", "realm", "--kernel", "/nowhere", "--initrd", "/nowhere", "--cmdline", ""], 1, "/nowhere: No such"),
    ],
)
def test_mistakes_are_one_line(describe: Path, arguments: list[str], code: int, words: str) -> None:
    done = subprocess.run([describe, "describe", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr


# ---- --dry-run, as `run` has it ------------------------------------------------------------------------------------


def dry(program: Path, *arguments: str) -> list[dict[str, Any]]:
    """What stands behind the population."""
    lines = [json.loads(line) for line in call(program, "describe", "--dry-run", *arguments).splitlines()]
    last = next(place for place, line in enumerate(lines) if line == {"step": "activate"})
    assert lines[: last + 1] == steps(program, *arguments)
    return lines[last + 1 :]


def test_dry_run_has_the_devices(describe: Path, files: list[str], tmp_path: Path) -> None:
    least = ["--world", "vm", *files, "--cmdline", "x"]
    assert dry(describe, *least) == [
        {"device": "uart", "address": 0x900_0000, "spi": 1},
        {"device": "rtc", "address": 0x901_0000},
        {"device": "rng", "slot": 0, "seeded": False},
        {"device": "console", "slot": 3},
        {"process": "vm", "mem_mib": 256, "vcpus": 1, "pretouch": False, "confined": True},
    ]
    disk = tmp_path / 'a "disk"\n\\'
    disk.touch()
    more = ["--tap", "tap-vm", "--tap-address", "10.79.9.1/24", "--mac", "02:00:00:00:07:09", "--disk", str(disk)]
    runtime = tmp_path / "runtime"
    runtime.touch()
    more += ["--disk-writable", "--runtime", str(runtime), "--cpu", "1", "--seed", "4", "--pretouch", "--unconfined"]
    assert dry(describe, *least, *more)[2:] == [
        {"device": "rng", "slot": 0, "seeded": True},
        {"device": "console", "slot": 3},
        {"device": "net", "slot": 1, "mac": "02:00:00:00:07:09", "tap": "tap-vm", "tap_address": "10.79.9.1/24"},
        {"device": "disk", "slot": 2, "writable": True, "file": str(disk)},
        {"device": "disk", "slot": 4, "writable": False, "file": str(runtime)},
        {"process": "vm", "mem_mib": 256, "vcpus": 1, "cpu": 1, "pretouch": True, "confined": False},
    ]


@pytest.mark.parametrize(
    ("disk", "words"),
    [("/nowhere/disk", "/nowhere/disk: No such file"), ("/proc", "/proc: "), ("/dev/null", "expected a")],
)
def test_dry_run_looks_at_the_disks(describe: Path, files: list[str], disk: str, words: str) -> None:
    arguments = ["describe", "--dry-run", "--world", "vm", *files, "--cmdline", "x"]
    for option in ("--disk", "--runtime"):
        done = subprocess.run([describe, *arguments, option, disk], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert words in done.stderr
