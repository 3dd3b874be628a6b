# SPDX-License-Identifier: Apache-2.0
"""What `orch measure` does around the formulas: the very start is described; a realm, which is played, is asked."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.attest.rim import Algorithm, Rim
from orchestrator.build.progress import Silent
from orchestrator.errors import AttestationError, UsageError
from orchestrator.schema.testbed import Guest
from orchestrator.shell import ssh
from orchestrator.shell.ssh import Finished
from orchestrator.testbed import measurement
from orchestrator.testbed.guest import GuestName, Start
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[3]
REALM = GuestName(World.REALM)
STEPS: list[dict[str, Any]] = [
    {"step": "create", "ipa_bits": 33, "hash_algo": 0, "num_bps": 5, "num_wps": 3, "rpv": "00" * 64},
    {"step": "data", "ipa": 0x4000_0000, "flags": 1, "source": "kernel", "bytes": 6},
    {"step": "data", "ipa": 0x4000_1000, "flags": 1, "source": "initrd", "bytes": 5},
    {"step": "data", "ipa": 0x4000_2000, "flags": 1, "source": "dtb", "bytes": 3, "content": "YWJj"},
    {"step": "activate"},
]
READ = "\n".join(["sha-256", "ab" * 32, *["00" * 32] * 4]) + "\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for name, content in (("kernel", b"kernel"), ("initrd", b"guest")):
        made[name] = tmp_path / f"my {name}"
        made[name].write_bytes(content)
    return made


def describer(folder: Path, script: str) -> Path:
    path = folder / "describer"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def start(**changes: Any) -> Start:
    return Start(REALM, Guest(memory_mib=64, vcpus=2), "a b=c", 7, **changes)


def test_the_vmms_very_options_are_described(tmp_path: Path, files: dict[str, Path]) -> None:
    lines = "\n".join(json.dumps(step) for step in STEPS)
    log = tmp_path / "seen"
    program = describer(tmp_path, f"printf '%s\\n' \"$@\" >{log}; cat <<'END'\n{lines}\nEND")
    found = measurement.predict_start(program, start(pretouch=True), files)
    seen = log.read_text(encoding="utf-8").splitlines()
    assert seen[0] == "describe"
    options = dict(itertools.pairwise(seen))
    assert options["--kernel"] == str(files["kernel"])
    assert options["--initrd"] == str(files["initrd"])
    assert (options["--cmdline"], options["--mem"], options["--vcpus"]) == ("a b=c", "64", "2")
    assert (options["--world"], options["--mac"]) == ("realm", REALM.mac(7))
    rim = Rim(s2sz=33, num_bps=5, num_wps=3)
    for place, content in enumerate((b"kernel", b"guest", b"abc")):
        rim.data(0x4000_0000 + 4096 * place, 1, content.ljust(4096, b"\0"))
    assert found.measurements.rim == rim.value
    table = json.loads(json.dumps(found.as_table()))
    assert table["sha256"]["dtb"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # "abc"
    assert table["steps"] == STEPS
    assert (table["memory_mib"], table["vcpus"], table["command_line"]) == (64, 2, "a b=c")


def test_what_the_vmm_refuses_is_a_usage_error(tmp_path: Path, files: dict[str, Path]) -> None:
    program = describer(tmp_path, "echo 'rvmm: the initrd does not fit' >&2; exit 1")
    with pytest.raises(UsageError, match="no realm can be made of this: rvmm: the initrd does not fit"):
        measurement.predict_start(program, start(), files)


def test_file_that_changed_under_way(tmp_path: Path, files: dict[str, Path]) -> None:
    lines = "\n".join(json.dumps(step) for step in STEPS)
    program = describer(tmp_path, f"cat <<'END'\n{lines}\nEND")
    files["kernel"].write_bytes(b"longer than it was")
    with pytest.raises(AttestationError, match="kernel: it has 18 bytes, its description says 6"):
        measurement.predict_start(program, start(), files)


# ---- Reading -----------------------------------------------------------------------------------------------------


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> list[Finished]:
    """What the realm says to the script that reads; its first entry is used."""
    answers = [Finished(0, READ, "")]
    monkeypatch.setattr(ssh, "put", lambda _link, _source, _target: None)
    monkeypatch.setattr(ssh, "attempt", lambda _link, _command: answers[0])
    return answers


def test_read(answer: list[Finished]) -> None:
    found = measurement.read(object(), Path("module.ko"))
    assert (found.algorithm, found.rim, found.rems) == (Algorithm.SHA_256, b"\xab" * 32, (bytes(32),) * 4)
    answer[0] = Finished(0, READ.replace("sha-256", "sha-512").replace("ab", "abcd").replace("00", "0102"), "")
    assert measurement.read(object(), Path("module.ko")).rems == (b"\x01\x02" * 32,) * 4


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        (Finished(3, "", "this is no realm"), "no measurements can be read: this is no realm"),
        (Finished(1, "", "cat: rim: Input/output error"), "were read: cat: rim: Input/output error"),
        (Finished(0, "sha-256\n", ""), "no measurements were read"),
        (Finished(0, READ.replace("sha-256", "md5"), ""), "unknown hash algorithm: md5"),
        (Finished(0, READ.replace("sha-256", "sha-512"), ""), "not 5 values of sha-512"),
        (Finished(0, READ.replace("abab", "abxx"), ""), "no hexadecimal numbers"),
        (Finished(0, READ.replace("ab" * 32, "ab" * 31), ""), "not 5 values"),
    ],
)
def test_answers_that_are_no_measurements(answer: list[Finished], finished: Finished, words: str) -> None:
    answer[0] = finished
    with pytest.raises(AttestationError, match=words):
        measurement.read(object(), Path("module.ko"))


def run_script(monkeypatch: pytest.MonkeyPatch, folder: Path, insmod: str) -> subprocess.CompletedProcess[str]:
    """The script that reads, in a realm whose programs are ours: `insmod` is shell, `rmmod` leaves a file."""
    (folder / "bin").mkdir()
    module = folder / "module.ko"
    module.touch()
    monkeypatch.setattr(measurement, "_SYSFS", str(folder / "realm"))
    monkeypatch.setattr(measurement, "_THERE", str(module))
    said = "echo '[    2.5] realm_measurement: this is no realm'"
    for name, text in (("insmod", insmod), ("dmesg", said), ("rmmod", f'echo "$1" >{folder}/removed')):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", measurement._read_script()], env=environment, capture_output=True, text=True, check=False
    )
    assert not module.exists(), "nothing stays in the realm"
    return done


def test_script_in_a_realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("hash_algo", "rim", "rem0", "rem1", "rem2", "rem3")
    fill = "; ".join(f"echo {name} >{tmp_path}/realm/{name}" for name in names)
    done = run_script(monkeypatch, tmp_path, f"mkdir {tmp_path}/realm; {fill}")
    assert (done.returncode, done.stdout.split()) == (0, list(names))
    assert (tmp_path / "removed").read_text() == "realm_measurement\n"


def test_script_where_the_module_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_script(monkeypatch, tmp_path, "echo 'insmod: No such device' >&2; exit 1")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "this is no realm\n")
    assert not (tmp_path / "removed").exists()


def test_script_whose_files_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_script(monkeypatch, tmp_path, f"mkdir {tmp_path}/realm")
    assert done.returncode not in (0, 3)
    assert (tmp_path / "removed").exists()


# ---- The testbed ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "testbed.yaml"
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8").replace("guest_hz: 100", "guest_hz: 250")
    (tmp_path / "Image").write_bytes(bytes(56) + b"ARM\x64" + bytes(4))
    path.write_text(f"{text}stack:\n  guest_kernel: Image\n", encoding="utf-8")
    return Bed(Project.open(path), Silent())


def test_a_started_realm_is_compared_as_it_was_started(bed: Bed) -> None:
    with pytest.raises(UsageError, match="the realm was not started"):
        measurement.started_config(bed, REALM)
    config = Guest(memory_mib=128, vcpus=4, swiotlb_slabs=1024, cmdline_extra="x=y")
    bed.guests.record.note(REALM, **config.model_dump(mode="json"), run=3, since=1.0, pretouch=True, ready=True)
    assert measurement.started_config(bed, REALM) == config


def test_module_is_built_for_the_guests_own_kernel(bed: Bed) -> None:
    with pytest.raises(UsageError, match=r"stack\.guest_kernel"):
        measurement.module_for(bed)
    node = bed.project.guest_module(bed.graph, "realm-measurement")
    assert [upstream.label for upstream in node.upstream] == ["kernel:hz=250"]
