# SPDX-License-Identifier: Apache-2.0
"""What a run was made of: the facts of run.yaml that are not the workload's, and the script that repeats it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator import __version__
from orchestrator.build.run import CommandError, run
from orchestrator.errors import OrchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIBRARIES = ("numpy", "pandas", "pyarrow", "matplotlib", "paramiko", "fabric", "pydantic")


def git_facts(root: Path) -> dict[str, Any]:
    """Revision and whether the tree differs from it; both None outside a checkout."""
    try:
        revision = run(["git", "-C", root, "rev-parse", "HEAD"], timeout=10).stdout.strip()
        dirty = bool(run(["git", "-C", root, "status", "--porcelain"], timeout=30).stdout.strip())
    except (CommandError, OrchError):
        return {"revision": None, "dirty": None}
    return {"revision": revision, "dirty": dirty}


def host_facts() -> dict[str, Any]:
    """The build computer, as far as it can matter to the wall times."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total >> 20,
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform()),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a file of the kernel
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def tool_facts() -> dict[str, str]:
    """Versions of what computes here."""
    return {
        "orch": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def reproduce_script(arguments: Sequence[str], revision: str | None, root: Path) -> str:
    """A shell script that runs the saved workload again with this checkout, or says which revision it was."""
    folder = "$(dirname \"$(readlink -f \"$0\")\")"
    command = shlex.join([str(root / ".venv/bin/orch"), *arguments])
    return (
        "#!/bin/sh\n"
        "# SPDX-License-Identifier: Apache-2.0\n"
        f"# Repeats this run: the same workload, testbed and checkout (revision {revision or 'unknown'}).\n"
        f"# It was started as: {shlex.join(['orch', *sys.argv[1:]])}\n"
        "set -eu\n"
        f"cd {shlex.quote(str(root))}\n"
        f"now=$(git rev-parse HEAD)\n"
        f'[ "$now" = {shlex.quote(revision or "")} ] || echo "note: the checkout is at $now now" >&2\n'
        f'exec {command} "{folder}/workload.yaml" "$@"\n'
    )
