# SPDX-License-Identifier: Apache-2.0
"""The fuzz target of the device model: some thousand inputs pass, and each mistake planted in the devices is found."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from workshop import Workshop, compiler

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "guest" / "host" / "rvmm"
BUILD = PROJECT / "tests" / "fuzz" / "build.sh"
RUNS = 4000
RUNS_MUTANT = 40_000  # stops at the first crash
SEEDS = (1, 2, 3, 4)

# File, what is there, what a careless author would have written.
MUTANTS = {
    "next descriptor not checked": ("virtqueue.c", "descriptor.next >= queue->size || ", ""),
    "memory that is not shared": (
        "virtio.c",
        "!device->host.usable(device->host.context, address, size)",
        "!device->host.usable(device->host.context, address, 1)",
    ),
    "size of a buffer": (
        "virtio.c",
        "!within(address, size, device->host.base",
        "!within(address, 1, device->host.base",
    ),
    "capacity of the disk": (
        "virtio_blk.c",
        "within(sector, data->bytes / SECTOR, 0, blk->sectors)",
        "(sector < blk->sectors)",
    ),
    "writing to a read-only disk": ("virtio_blk.c", " || (write && !blk->writable)", ""),
    "room for a frame": (
        "virtqueue.c",
        "parts[i].iov_len < size - done ? parts[i].iov_len : size - done",
        "size - done",
    ),
    "end of the keyboard's buffer": (
        "pl011.c",
        "(uart->rx_head + uart->rx_count) % PL011_RX_BYTES",
        "uart->rx_head + uart->rx_count",
    ),
    "rings that the guest has taken back": (
        "virtqueue.c",
        "		if (virtqueue_within(&device->queues[i], base, top))",
        "		if (i == 1 && virtqueue_within(&device->queues[i], base, top))",
    ),
    "a request that the disk has in hand": ("devices.c", "		blk_pause(&devices->disks[i]);\n", "		;\n"),
    "line not told": ("virtio.c", "	device->level = level;\n", "	device->level = true;\n"),
}


@pytest.fixture(scope="session")
def sound(workshop: Workshop) -> Path:
    """The program without a mistake, and its objects beside it."""
    compiler()

    def build(folder: Path) -> None:
        subprocess.run([BUILD, folder / "fuzz", SOURCES, folder], check=True)

    return workshop.once("fuzz", build)


def build_mutant(sound: Path, mistake: str, folder: Path) -> Path:
    """The program with a mistake, which is all that is compiled anew."""
    name, right, wrong = MUTANTS[mistake]
    sources, objects = folder / "rvmm", folder / "objects"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.yaml", "*.sh"))
    text = (sources / name).read_text(encoding="utf-8")
    assert text.count(right) == 1
    (sources / name).write_text(text.replace(right, wrong), encoding="utf-8")
    shutil.copytree(sound, objects, ignore=shutil.ignore_patterns("fuzz"))
    (objects / name).with_suffix(".o").unlink()
    subprocess.run([BUILD, folder / "fuzz", sources, objects], check=True)
    return folder / "fuzz"


def fuzz(program: Path, runs: int, crash: Path, seed: int = 1) -> subprocess.CompletedProcess[str]:
    command = [program, "--seed", str(seed), "--runs", str(runs), "--save", crash]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_guests_that_do_anything(sound: Path, tmp_path: Path) -> None:
    done = fuzz(sound / "fuzz", RUNS, tmp_path / "crash")
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(rf"runs {RUNS} edges (\d+) samples (\d+)\n", done.stdout)
    assert match, done.stdout
    assert int(match[2]) > 20  # inputs that reached something new: the rest was made of them


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_mistake_is_found(sound: Path, tmp_path: Path, mistake: str) -> None:
    program, crash = build_mutant(sound, mistake, tmp_path), tmp_path / "crash"
    for seed in SEEDS:  # another compiler lays the code out otherwise: a seed may then pass by a mistake
        found = fuzz(program, RUNS_MUTANT, crash, seed)
        if found.returncode != 0:
            break
    assert found.returncode != 0, found.stdout
    assert f"the input is in {crash}" in found.stderr
    again = subprocess.run([program, crash], capture_output=True, text=True, check=False)
    assert again.returncode != 0, "the saved input does not show it"
