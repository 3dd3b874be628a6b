# SPDX-License-Identifier: Apache-2.0
"""First step of `make testbed`: which system packages are missing, and installing them. Standard library only.

Runs on the system's Python before the virtual environment exists; `orch doctor` and the build graph use its table.
"""

from __future__ import annotations

import functools
import lzma
import math
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

MINIMUM_PYTHON = (3, 11)

# What must be present on the build machine, and the Debian package that brings it.
TOOLS = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-ld": "binutils-aarch64-linux-gnu",
    "aarch64-linux-gnu-objcopy": "binutils-aarch64-linux-gnu",
    "aarch64-linux-gnu-readelf": "binutils-aarch64-linux-gnu",
    "bash": "bash",
    "bc": "bc",
    "bison": "bison",
    "cpio": "cpio",
    "dpkg-deb": "dpkg",
    "flex": "flex",
    "gcc": "gcc",
    "gzip": "gzip",
    "ld": "binutils",
    "make": "make",
    "patch": "patch",
    "perl": "perl",
    "setpriv": "util-linux",
    "tar": "tar",
    "xz": "xz-utils",
}
FILES = {
    "/usr/aarch64-linux-gnu/lib/libc.a": "libc6-dev-arm64-cross",
    "/usr/include/openssl/sha.h": "libssl-dev",
    "/usr/include/stdio.h": "libc6-dev",
    "/usr/lib/apt/apt-helper": "apt",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
PYTHON_MODULES = {"ensurepip": "python3-venv"}

# What `make testbed` costs from nothing, for the plan that is printed before there is anything to compute it with.
# A test compares the build with the graph and the lock.
BUILD_SECONDS = 837  # CPU time of the reference computer
BUILD_SERIAL_SECONDS = 50  # the part of it that more cores do not make shorter
BUILD_DOWNLOAD_MB = 346
BUILD_MIB = 2095
VENV_DOWNLOAD_MB = 150
VENV_SECONDS = 45
CHECK_SECONDS = 30
MB_PER_SECOND = 10  # a line that the plan's words on downloads suppose

_PROBE_SECONDS = 0.15  # CPU time of `pace`'s probe on the reference computer


def missing_packages() -> list[str]:
    """Debian packages that provide the tools, files and Python modules not found here."""
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    missing |= {package for path, package in FILES.items() if not Path(path).exists()}
    for module, package in PYTHON_MODULES.items():
        probe = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False)
        if probe.returncode != 0:
            missing.add(package)
    return sorted(missing)


def apt_command(*arguments: str) -> list[str]:
    """An apt-get call with the rights to change the system."""
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    return [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *arguments]


def apt_summary(packages: list[str]) -> str:
    """How many packages and megabytes an installation would bring, or '' where apt cannot tell yet."""
    command = ["apt-get", "install", "--print-uris", "-qq", "-y", "--no-install-recommends", *packages]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    sizes = [int(match) for match in re.findall(r"^'[^']+' \S+ (\d+)", found.stdout, flags=re.MULTILINE)]
    return f" ({len(sizes)} with dependencies, {sum(sizes) / 1e6:.0f} MB to download)" if sizes else ""


@functools.cache
def pace() -> float:
    """How many times as long this computer takes for a piece of work as the one that estimates are made for."""
    data = b"".join(b"%d %d\n" % (number * number % 977, number % 89) for number in range(60_000))
    times = []
    for _ in range(3):
        start = time.process_time()
        lzma.compress(data, preset=4)  # compilers, like it, compare and branch
        times.append(time.process_time() - start)
    return min(times) / _PROBE_SECONDS


def build_seconds(cores: int) -> float:
    """How long building everything takes on so many cores of the reference computer, s."""
    return BUILD_SERIAL_SECONDS + (BUILD_SECONDS - BUILD_SERIAL_SECONDS) / cores


def spoken(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 50:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{math.ceil(seconds / 60 - 0.25):.0f} min"


def plan(missing: list[str]) -> list[str]:
    """What will be done, in lines: what comes over the network, and how long each step takes on this computer."""
    cores = os.cpu_count() or 1
    venv, build, check = (pace() * each for each in (VENV_SECONDS, build_seconds(cores), CHECK_SECONDS))
    wanted = f"{', '.join(missing)}{apt_summary(missing)}" if missing else "none missing"
    megabytes = VENV_DOWNLOAD_MB + BUILD_DOWNLOAD_MB
    return [
        "plan:",
        f"  1. system packages by apt: {wanted}",
        f"  2. Python environment .venv: {VENV_DOWNLOAD_MB} MB of pinned wheels, about {spoken(venv)}",
        f"  3. build in the user cache: {BUILD_DOWNLOAD_MB} MB of pinned packages, about {spoken(build)} on the "
        f"{cores} cores of this computer, {math.ceil(BUILD_MIB / 1024)} GB while building",
        f"  4. boot the machine once, check it, shut it down: about {spoken(check)}",
        f"  together about {spoken(venv + build + check)}, and the downloads ({spoken(megabytes / MB_PER_SECOND)} at "
        f"{MB_PER_SECOND} MB/s); less where the cache has it already",
    ]


def say(text: str) -> None:
    """Print at once, also into a pipe, and into one that somebody has made not wait."""
    sys.stdout.write(text + "\n")
    while True:
        try:
            sys.stdout.flush()
        except BlockingIOError:
            select.select([], [sys.stdout], [])
        else:
            return


def fail(message: str, hint: str) -> int:
    """One line, a hint, and the exit code for an unfit environment."""
    sys.stderr.write(f"error: {message}\n  hint: {hint}\n")
    return 6


def install(packages: list[str]) -> int:
    """Install by apt if we may: as root, or with sudo on a terminal or with YES=1."""
    names = " ".join(packages)
    if os.environ.get("ORCH_NO_APT") == "1":
        return fail(f"missing system packages: {names}", f"apt-get install --no-install-recommends {names}")
    if shutil.which("apt-get") is None:
        return fail(f"missing system packages: {names}", "install what provides them on this distribution")
    if os.geteuid() != 0 and not (sys.stdin.isatty() or os.environ.get("YES") == "1"):
        return fail(
            f"missing system packages: {names}", "run on a terminal, or with YES=1, so that sudo may install them"
        )
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        return fail(f"missing system packages: {names}", "there is no sudo here: run as root")
    for arguments in (("update", "-q"), ("install", "-q", "-y", "--no-install-recommends", *packages)):
        done = subprocess.run(apt_command(*arguments), check=False)
        if done.returncode != 0:
            return fail(f"apt-get {arguments[0]} failed", "see its messages above")
    return 0


def main(project: Path) -> int:
    """Print the plan, then install what is missing; returns an exit code."""
    if sys.version_info < MINIMUM_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        return fail(f"Python {found} is too old", f"Python {MINIMUM_PYTHON[0]}.{MINIMUM_PYTHON[1]} or newer is needed")
    missing = missing_packages()
    if not missing and (project / ".venv/bin/orch").exists():
        return 0
    for line in plan(missing):
        say(line)
    return install(missing) if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
