# SPDX-License-Identifier: Apache-2.0
"""What a run was made of: the facts of run.yaml that are not the workload's, and the script that repeats it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator import __version__, extensions
from orchestrator.build.graph import file_digest
from orchestrator.build.run import CommandError, run
from orchestrator.errors import OrchError
from orchestrator.schema.yamltext import dump

if TYPE_CHECKING:
    from orchestrator.testbed.project import Project

_LIBRARIES = ("numpy", "pandas", "pyarrow", "matplotlib", "paramiko", "fabric", "pydantic")


def git_facts(root: Path) -> dict[str, Any]:
    """Revision and whether the tree differs from it; both None where `root` is no checkout of its own.

    A repository around it, or one that a variable names, is somebody else's.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own["GIT_CEILING_DIRECTORIES"] = str(root.resolve().parent)
    try:
        revision = run(["git", "-C", root, "rev-parse", "HEAD"], timeout=10, env=own).stdout.strip()
        dirty = bool(run(["git", "-C", root, "status", "--porcelain"], timeout=30, env=own).stdout.strip())
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


def extension_facts() -> dict[str, str]:
    """SHA-256 of each file outside the package that registered something, by its path."""
    return {str(path): file_digest(path) for path in extensions.paths()}


def testbed_text(project: Project) -> str:
    """The testbed as resolved, as a file that means the same wherever it lies."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return str(project.path(value)) if isinstance(value, Path) else value

    table = plain(project.config.model_dump(exclude_none=True))
    return dump(table)


def reproduce_script(revision: str | None, root: Path) -> str:
    """A shell script that runs the saved workload on the saved testbed again, or says which revision it was."""
    orch = shlex.quote(str(root / ".venv/bin/orch"))
    return (
        "#!/bin/sh\n"
        "# SPDX-License-Identifier: Apache-2.0\n"
        f"# Repeats this run: the same workload, testbed and checkout (revision {revision or 'unknown'}).\n"
        f"# It was started as: {shlex.join(['orch', *sys.argv[1:]])}\n"
        "set -eu\n"
        'folder=$(dirname "$(readlink -f "$0")")\n'
        f"cd {shlex.quote(str(root))}\n"
        "unset GIT_DIR GIT_WORK_TREE\n"
        'now=$(GIT_CEILING_DIRECTORIES=$(dirname "$(pwd -P)") git rev-parse HEAD 2>/dev/null || echo unknown)\n'
        f'[ "$now" = {shlex.quote(revision or "")} ] || echo "note: the checkout is at $now now" >&2\n'
        f'exec {orch} --testbed "$folder/testbed.yaml" run "$folder/workload.yaml" "$@"\n'
    )
