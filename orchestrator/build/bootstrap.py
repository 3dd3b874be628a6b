# SPDX-License-Identifier: Apache-2.0
"""First step of `make testbed`: which system packages are missing, and installing them. Standard library only.

Runs on the system's Python before the virtual environment exists; `orch doctor` and the build graph use its table.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
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
    "ccache": "ccache",
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


def lock_summary(project: Path) -> str:
    """Size of the pinned package sets, from the lock file."""
    lock = json.loads((project / "orch.lock.json").read_text(encoding="utf-8"))
    sets = lock.get("packages", {}).values()
    total = sum(item.get("size", 0) for entry in sets for item in entry.get("files", []))
    return f"{total / 1e6:.0f} MB"


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
    wanted = f"{', '.join(missing)}{apt_summary(missing)}" if missing else "none missing"
    say("plan:")
    say(f"  1. system packages by apt: {wanted}")
    say("  2. Python environment .venv from pinned wheels: about 60 MB, half a minute")
    download = lock_summary(project)
    say(f"  3. build in the user cache: {download} of pinned packages, about 20 min on 2 cores, 12 GB while building")
    say("  4. boot the machine once, check it, shut it down")
    return install(missing) if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
