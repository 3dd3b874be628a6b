# SPDX-License-Identifier: Apache-2.0
"""`orch measure` against realms: what was computed from artifacts is what each realm reads of itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from emulated import Bed, build, host, inside


@dataclass(frozen=True)
class Shape:
    """A realm as the testbed file describes it."""

    memory_mib: int
    vcpus: int = 1
    swiotlb_slabs: int = 4096
    cmdline_extra: str = ""

    def guest(self) -> str:
        return f"guest: {json.dumps(self.__dict__)}\n"


SHAPES = (
    Shape(64),
    Shape(256, vcpus=2),
    Shape(256, vcpus=2, swiotlb_slabs=8192),
    Shape(512, vcpus=4, cmdline_extra="loglevel=3 orch.note=one"),
    Shape(1024, cmdline_extra="loglevel=3 orch.note=two"),
)


def reshape(bed: Bed, shape: Shape) -> None:
    """Another guest in the same testbed file: its host stays."""
    text = bed.file.read_text(encoding="utf-8")
    bed.file.write_text(re.sub(r"^guest: .*\n|\Z", "", text, flags=re.M) + shape.guest(), encoding="utf-8")


def measure(bed: Bed, *options: str, code: int = 0) -> dict[str, Any]:
    done = bed.orch("measure", "--json", *options, timeout=300)
    assert done.returncode == code, done.stdout[-500:] + done.stderr
    table: dict[str, Any] = json.loads(done.stdout)
    return table


def up(bed: Bed, *options: str) -> None:
    done = bed.orch("up", *options, timeout=600)
    assert done.returncode == 0, done.stderr


@dataclass
class Series:
    """One host for all shapes, and what was computed before it was up."""

    bed: Bed
    predicted: dict[Shape, str]


@pytest.fixture(scope="module")
def series(module_bed: Bed) -> Series:
    bed, predicted = module_bed, {}
    for shape in SHAPES:
        reshape(bed, shape)
        table = measure(bed)
        assert (table["memory_mib"], table["vcpus"]) == (shape.memory_mib, shape.vcpus)
        predicted[shape] = table["rim"]
    up(bed)
    return Series(bed, predicted)


def test_predictions_differ(series: Series) -> None:
    assert len(set(series.predicted.values())) == len(SHAPES)


def check_as_predicted(series: Series, shape: Shape) -> dict[str, Any]:
    """What the realm that is up reads of itself."""
    table = measure(series.bed, "--read", "realm")
    assert table["equal"]
    assert table["read"] == {"algorithm": "sha-256", "rim": series.predicted[shape], "rems": ["00" * 32] * 4}
    seen = series.bed.ask("realm", "nproc; cat /proc/cmdline; ls -d /sys/kernel/realm /tmp/*.ko")
    assert seen.stdout.splitlines() == [str(shape.vcpus), table["command_line"]], "nothing stayed in the realm"
    return table


@pytest.mark.parametrize(
    "shape",
    [pytest.param(shape, marks=[pytest.mark.long] if shape in {SHAPES[1], SHAPES[4]} else []) for shape in SHAPES[1:]],
    ids=lambda shape: f"{shape.memory_mib}x{shape.vcpus}",
)
def test_realm_reads_what_was_predicted(series: Series, shape: Shape) -> None:
    """The first shape has its turn in the next test."""
    reshape(series.bed, shape)
    up(series.bed, "--realm")
    try:
        check_as_predicted(series, shape)
    finally:
        series.bed.orch("down", "realm")


def test_verdicts(series: Series) -> None:
    """Realms of one host are alike whatever their number; another shape is another measurement; a VM has none."""
    bed = series.bed
    reshape(bed, SHAPES[0])
    up(bed, "--realm", "2", "--vm")
    one, two = check_as_predicted(series, SHAPES[0]), measure(bed, "--read", "realm2")
    assert two["equal"]
    assert one["read"] == two["read"]
    other = measure(bed, "--read", "realm", "--mem", "66", code=5)
    assert not other["equal"]
    assert other["read"] == one["read"]
    assert bed.orch("measure", "--read", "realm").stdout.splitlines()[-1].endswith("equal")
    no_realm = bed.orch("measure", "--read", "vm")
    assert no_realm.returncode == 2
    assert "the vm is no realm" in no_realm.stderr
    assert bed.orch("measure", "--read", "realm3").returncode == 2, "it was not started"
    check_module_in_a_vm(bed)
    for name in ("realm", "realm2", "vm"):
        assert bed.orch("down", name).returncode == 0


def check_module_in_a_vm(bed: Bed) -> None:
    bed.put("vm", [build(bed, "realm-measurement") / "realm_measurement.ko"])
    refused = bed.ask("vm", "insmod /tmp/realm_measurement.ko")
    assert refused.code != 0
    assert "No such device" in refused.stderr
    inside(bed, "vm", "dmesg | grep -q 'realm_measurement: this is no realm'")


def test_dry_run_makes_nothing(series: Series) -> None:
    """`rvmm run --dry-run` in the host says what the build computer says, and leaves no trace."""
    bed = series.bed
    bed.put("host", [build(bed, "rvmm") / "rvmm"])
    reshape(bed, Shape(256))
    table = measure(bed)
    command = (
        "/tmp/rvmm run --dry-run --world realm --dir /run/none --kernel /usr/lib/guest/Image "
        "--initrd /usr/lib/guest/initrd --tap no-such --mem 256 --cmdline"
    )
    shown = host(bed, f"{command} '{table['command_line']}'")
    lines = [json.loads(line) for line in shown.splitlines()]
    assert lines[: len(table["steps"])] == table["steps"]
    assert [line["device"] for line in lines if "device" in line] == ["uart", "rtc", "rng", "console", "net"]
    host(bed, "test ! -e /run/none && test ! -e /sys/class/net/no-such")
    for options, words in (
        ("--disk /nowhere", "rvmm: /nowhere: No such file"),
        ("--initrd /root", "rvmm: /root: expected a file"),
    ):
        refused = bed.ask("host", f"{command} x {options}")
        assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert refused.stderr.startswith(words)


def test_a_realm_that_is_not_what_was_built(series: Series) -> None:
    """The host swaps one byte of the initrd's padding: the realm boots as ever, and its measurement tells."""
    bed = series.bed
    # Behind the archive's end nothing looks at the bytes; the digest in the record keeps `orch` from copying it anew.
    host(bed, "printf x >>/usr/lib/guest/initrd")
    unproved = bed.file.read_text(encoding="utf-8") + "attestation: {required: false}\n"
    bed.file.write_text(unproved, encoding="utf-8")  # else it would not come up at all
    up(bed, "--realm", "--mem", "64")
    table = measure(bed, "--read", "realm", code=5)  # the last test here: the host keeps that initrd
    assert not table["equal"]
    assert table["read"]["rim"] != table["rim"]
