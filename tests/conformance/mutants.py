# SPDX-License-Identifier: Apache-2.0
"""`make conformance-mutants`: can the checks of the RMM's ABI fail? Each defect of defects.yaml is put into our RMM.

One at a time, in a copy of the sources; the image goes into the flash in place of the good one, and the payload runs as
in tests/emulator/test_rmm_abi.py. The check that the defect names must fail. Before all that the good RMM must pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from bare_metal import Parts, prepare, run_payload
from cca_token import HASH, read_token
from test_rmm_abi import failures, rems, replayed, tokens

from orchestrator.build.cache import default_cache

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = Path(__file__).with_name("defects.yaml")
SECONDS = 60  # of a payload; one that hangs is ended, with what it has said so far
FIP, FIP_MAGIC, FIP_HEAD, FIP_ENTRY = 0x40000, 0xAA640001, 16, 40  # TF-A, firmware_image_package.h


@dataclass(frozen=True)
class Defect:
    """One line of the table."""

    defect: str
    file: str
    old: str
    new: str
    by: str


def load() -> list[Defect]:
    """The table."""
    return [Defect(**row) for row in yaml.safe_load(DEFECTS.read_text(encoding="utf-8"))]


class Workshop:
    """A copy of the RMM's sources, and how an image of it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sources = folder, folder / "images/rmm/src"
        shutil.copytree(ROOT / "images/rmm", folder / "images/rmm")
        shutil.copytree(ROOT / "guest/abi", folder / "guest/abi")
        library = folder / "mbedtls"
        library.mkdir()
        archive = sorted((default_cache() / "inputs").glob("*/mbedtls_*.orig.tar.*"))[-1]
        wanted = ["--strip-components=1", "--wildcards", "*/include/*.h", "*/library/*.[ch]"]
        subprocess.run(["tar", "-xf", archive, "-C", library, *wanted], check=True)

    def make(self) -> bytes:
        """The image of the sources as they are now."""
        words = [f"BUILD={self.folder / 'build'}", f"MBEDTLS={self.folder / 'mbedtls'}", "all"]
        command = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(self.folder / "images/rmm"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"it does not compile:\n{done.stderr}")
        return (self.folder / "build/rmm.bin").read_bytes()

    def make_with(self, defect: Defect) -> bytes:
        """The same with a defect, which is gone again afterwards."""
        path = self.sources / defect.file
        text = path.read_text(encoding="utf-8")
        if text.count(defect.old) != 1:
            raise SystemExit(f"{defect.defect}: 'old' is {text.count(defect.old)} times in {defect.file}, not once")
        try:
            path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
            return self.make()
        finally:
            path.write_text(text, encoding="utf-8")


def replace_image(flash: bytes, good: bytes, image: bytes) -> bytes:
    """The flash with another RMM: its image is the last of the firmware package, whose table has its size."""
    place = flash.index(good)
    assert place + len(good) == len(flash)
    assert struct.unpack_from("<I", flash, FIP) == (FIP_MAGIC,)
    changed = bytearray(flash[:place] + image)
    entry = FIP + FIP_HEAD
    while struct.unpack_from("<Q", flash, entry + 16)[0] != place - FIP:
        entry += FIP_ENTRY
    struct.pack_into("<Q", changed, entry + 24, len(image))
    # The entry behind it is the table's end, which says where the package ends.
    struct.pack_into("<Q", changed, entry + FIP_ENTRY + 16, len(changed) - FIP)
    return bytes(changed)


def run_checks(parts: Parts, folder: Path, flash: bytes) -> str:
    """What the payload says on a machine with this flash, also if it does not come to its end."""
    (folder / "flash").mkdir(exist_ok=True)
    (folder / "flash/flash.bin").write_bytes(flash)
    (folder / "console.log").unlink(missing_ok=True)
    spec = dataclasses.replace(parts.spec, flash=str(folder / "flash/flash.bin"))
    try:
        return run_payload(dataclasses.replace(parts, spec=spec), "checks", folder, timeout=SECONDS)
    except AssertionError:
        return (folder / "console.log").read_text(encoding="utf-8", errors="replace")


def judged(console: str, image: bytes) -> set[str]:
    """Of what the test judges, which is wrong."""
    wrong = set()
    rim, seen = replayed(console, "A", image)
    if seen != rim.field.hex():
        wrong.add("RIM")
    computed, read = rems(console, "A")
    if [value.ljust(64, b"\0") for value in computed] != read:
        wrong.add("REM")
    for name, algorithm in (("A", "sha-256"), ("C", "sha-512")):
        for _, data in tokens(console, name):
            try:
                if read_token(data).realm[HASH] != algorithm:
                    wrong.add("token")
            except (AssertionError, ValueError, KeyError, TypeError):
                wrong.add("token")
    return wrong


def checks_of(console: str) -> list[str]:
    """Names of the checks that came to an end, in their order."""
    lines = [line for line in console.splitlines() if line.startswith(("ok ", "not ok "))]
    return [line.split(" - ", 1)[1] for line in lines]


def failed(console: str, image: bytes, order: list[str]) -> set[str]:
    """Names of what has failed; of a payload that did not come to its end, also the check that it was in."""
    lines = [line.split(" - ", 1)[1] for line in failures(console) if line.startswith("not ok ")]
    lines += order[len(checks_of(console)) :][:1]
    try:
        return {*lines, *judged(console, image)}
    except (AssertionError, ValueError, IndexError):
        return set(lines)


def main() -> None:
    """Build, run, tell; exit code 1 if a defect was not caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="WORD", default="", help="defects with this in their names")
    chosen = [defect for defect in load() if parser.parse_args().only in defect.defect]
    parts = prepare()
    realm, good_flash = (parts.payloads / "realm.bin").read_bytes(), Path(parts.spec.flash).read_bytes()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="orch-mutants-") as name:
        workshop = Workshop(Path(name))
        good = workshop.make()
        console = run_checks(parts, Path(name), good_flash)
        order = checks_of(console)
        if failed(console, realm, order) or "Bail out!" in console:
            raise SystemExit(f"the RMM without defects fails: {sorted(failed(console, realm, order))}")
        for defect in chosen:
            flash = replace_image(good_flash, good, workshop.make_with(defect))
            found = failed(run_checks(parts, Path(name), flash), realm, order)
            caught = defect.by in found
            missed += not caught
            others = len(found) - caught
            print(f"{'caught' if caught else 'MISSED'}  {defect.defect}  ({defect.by}; {others} more)", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} defects caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
