# SPDX-License-Identifier: Apache-2.0
"""The distribution's PostgreSQL, for tests: on a socket in a folder of its own, run by an unprivileged user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPTIONS = "-c listen_addresses= -c fsync=off -c max_connections=60"


def installed() -> bool:
    return _programs() is not None


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database; the server is gone afterwards."""
    programs = _programs()
    assert programs is not None
    root = os.getuid() == 0  # initdb refuses to be run by root
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] if root else []
    folder = Path(tempfile.mkdtemp(prefix="orch-pg-", dir="/tmp"))  # a socket's path has to be short
    if user:
        shutil.chown(folder, "nobody", "nogroup")

    def run(program: str, *argv: str) -> None:
        command = [*user, str(programs / program), "-D", f"{folder}/data", *argv]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=120, env={"PATH": "/usr/bin:/bin"})

    try:
        run("initdb", "-A", "trust", "-U", "orch", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-k {folder} {_OPTIONS}", "start")
        try:
            yield f"postgresql+psycopg://orch@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
