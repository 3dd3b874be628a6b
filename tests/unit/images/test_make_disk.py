# SPDX-License-Identifier: Apache-2.0
"""`make-disk`: the same bytes for the same content, and a root that is what its blocks hash to."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.schema.disk import DiskTree, tree_of

RECIPE = Path(__file__).resolve().parents[3] / "images/disk"
BLOCK = 4096
CONTENT = {"runner": os.urandom(70_001), "libm.so.6": os.urandom(3 * BLOCK), "empty": b"", "of one byte": b"x"}


@pytest.fixture(scope="session")
def make_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipe makes of the packages that were fetched for it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    packages = sorted(cache.glob("*/cryptsetup-bin_*_amd64.deb"))
    if not packages:
        pytest.skip("the tools are fetched when node disk-tools is built")
    work = tmp_path_factory.mktemp("disk-tools")
    places = {"IN_disk_tools": packages[-1].parent, "SRC": RECIPE, "OUT": work / "out"}
    environment = os.environ | {name: str(path) for name, path in places.items()}
    subprocess.run(["bash", RECIPE / "build.sh"], cwd=work, env=environment, check=True, capture_output=True)
    return work / "out/bin/make-disk"


def folder(place: Path, names: list[str], when: int) -> Path:
    """The same content, made in some order at some time."""
    place.mkdir()
    for name in names:
        (place / name).write_bytes(CONTENT[name])
        (place / name).chmod(0o755 if name == "runner" else 0o644)
        os.utime(place / name, (when, when))
    os.utime(place, (when, when))
    return place


def make(program: Path, source: Path, image: Path) -> tuple[bytes, DiskTree]:
    subprocess.run([program, source, image], check=True, capture_output=True)
    return image.read_bytes(), tree_of(image)


def levels(data: bytes) -> list[bytes]:
    """All hashes of the blocks, those of the hashes' blocks, and so on, by the kernel's description of the format."""
    found = [data]
    while len(found) == 1 or len(found[-1]) > BLOCK:
        blocks = (found[-1][at : at + BLOCK] for at in range(0, len(found[-1]), BLOCK))
        hashes = b"".join(hashlib.sha256(block).digest() for block in blocks)
        found.append(hashes + bytes(-len(hashes) % BLOCK))
    return found


def test_the_root_is_that_of_the_content(make_disk: Path, tmp_path: Path) -> None:
    image, tree = make(make_disk, folder(tmp_path / "a", list(CONTENT), 7), tmp_path / "disk")
    data, hashes = image[: tree.data_blocks * BLOCK], image[tree.data_blocks * BLOCK :]
    _, *above = levels(data)
    assert tree.root_hash == hashlib.sha256(above[-1]).hexdigest()
    assert hashes == b"".join(reversed(above))  # the root's block comes first
    assert tree.block_bytes == BLOCK
    assert tree.sectors == len(data) // 512
    assert all(content in data for content in CONTENT.values())  # as it is: nothing is compressed


def test_the_same_content_is_the_same_disk(make_disk: Path, tmp_path: Path) -> None:
    one = make(make_disk, folder(tmp_path / "a", list(CONTENT), 7), tmp_path / "one")
    other = make(make_disk, folder(tmp_path / "b", list(reversed(CONTENT)), 1_700_000_000), tmp_path / "other")
    assert one == other
    (tmp_path / "b/of one byte").write_bytes(b"y")
    assert make(make_disk, tmp_path / "b", tmp_path / "third")[1].root_hash != one[1].root_hash
