# SPDX-License-Identifier: Apache-2.0
"""The command line, against golden files (one argument a line); ORCH_GOLDEN=write renews them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from orchestrator.machine.cmdline import command_line, cpu_argument, kernel_command_line, stable_command_line
from orchestrator.machine.fvp import FvpSpec, fvp_command_line
from orchestrator.machine.spec import Counter, Initrd, MachineSpec
from orchestrator.schema.testbed import Cpu

GOLDEN = Path(__file__).with_name("golden")


def variants(spec: MachineSpec) -> dict[str, list[str]]:
    deterministic = dataclasses.replace(spec, icount_shift=2, cpus=1, kernel_args=("orch.deterministic",))
    return {
        "plain": command_line(spec),
        "deterministic": command_line(deterministic),
        "counter": command_line(dataclasses.replace(spec, counter=Counter("/cache/plug,in.so", "both"))),
        "restored": command_line(dataclasses.replace(spec, incoming="/cache/state")),
        "by-hand": command_line(spec, by_hand=True),
    }


@pytest.mark.parametrize("name", ["plain", "deterministic", "counter", "restored", "by-hand"])
def test_golden(name: str, paper: MachineSpec) -> None:
    check_golden(name, variants(paper)[name])


def test_golden_of_the_fvp() -> None:
    spec = FvpSpec("/arm/FVP_Base_RevC-2xAEMvA", "/tfa/bl1.bin", "/tfa/fip.bin", "/linux/Image")
    check_golden("fvp", fvp_command_line(dataclasses.replace(spec, disk="/root.ext2", cpus=6, ssh_port=2222)))
    least = fvp_command_line(spec)
    assert [word for word in least if "NUM_CORES" in word] == ["cluster0.NUM_CORES=2", "cluster1.NUM_CORES=0"]
    assert not [word for word in least if "virtioblock" in word or "userNetPorts" in word]
    with pytest.raises(ValueError, match="9 CPUs"):
        fvp_command_line(dataclasses.replace(spec, cpus=9))


def check_golden(name: str, words: list[str]) -> None:
    text = "".join(f"{word}\n" for word in words)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ORCH_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_cpu_argument_keeps_the_order_of_the_file() -> None:
    features = {"x-rme": {"value": True, "why": "w"}, "sve": {"value": False, "why": "w"}}
    assert cpu_argument(Cpu.model_validate({"features": features})) == "max,x-rme=on,sve=off"


def test_initrds_are_one_range_with_each_archive_aligned(paper: MachineSpec) -> None:
    # 4097 bytes, three of padding, 512 bytes
    assert "initrd=0x68000000,4612" in kernel_command_line(paper)
    assert any("overlay.cpio,addr=0x68001004" in word for word in command_line(paper))


def test_no_initrd_no_word_for_it(paper: MachineSpec) -> None:
    assert "initrd" not in kernel_command_line(dataclasses.replace(paper, initrds=()))


def test_initrds_must_end_within_the_ram(paper: MachineSpec) -> None:
    with pytest.raises(ValueError, match="behind the RAM"):
        command_line(dataclasses.replace(paper, initrds=(Initrd("/big", 0x9800_0001),)))


def test_stable_part_does_not_know_port_folders_or_state(paper: MachineSpec) -> None:
    other = dataclasses.replace(paper, ssh_port=1, run_folder="/x", sockets="/y", incoming="/z")
    assert stable_command_line(other) == stable_command_line(paper)
    assert stable_command_line(dataclasses.replace(paper, cpus=4)) != stable_command_line(paper)


def test_deterministic_machine_has_nothing_that_follows_the_host(paper: MachineSpec) -> None:
    words = " ".join(variants(paper)["deterministic"])
    assert "rng" not in words
    assert "sleep=off" in words
    assert words.count("ioeventfd=off") == words.count("-pci,")
    assert "clock=vm" in words


def test_ports_are_on_loopback_only(paper: MachineSpec) -> None:
    forwards = [word for word in command_line(paper) if "hostfwd" in word]
    assert len(forwards) == 1
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in forwards[0]
    assert "restrict=on" in forwards[0]


def test_spec_survives_json(paper: MachineSpec) -> None:
    full = dataclasses.replace(
        paper, counter=Counter("/p"), incoming="/s", env={"A": "b"}, extra=("-d", "int"), icount_shift=0
    )
    for spec in (paper, full):
        assert MachineSpec.from_json(spec.to_json()) == spec
