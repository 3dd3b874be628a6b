# SPDX-License-Identifier: Apache-2.0
"""Where a machine keeps its files: the run folder for what stays, a short runtime folder for sockets."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import EnvError

UARTS = ("uart0", "uart1")
# sun_path of struct sockaddr_un has 108 bytes, one of them for the end.
LONGEST_SOCKET_PATH = 107
_LONGEST_NAME = "attach-uart0"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run folder."""

    folder: Path

    @property
    def spec(self) -> Path:
        """The MachineSpec as JSON."""
        return self.folder / "machine.json"

    @property
    def state(self) -> Path:
        """The newest state, replaced atomically."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) for as long as a supervisor lives."""
        return self.folder / "machine.lock"

    @property
    def events(self) -> Path:
        """One JSON object a line for each change and QMP event."""
        return self.folder / "events.jsonl"

    @property
    def supervisor_log(self) -> Path:
        """Output of the supervisor."""
        return self.folder / "supervisor.log"

    @property
    def qemu_log(self) -> Path:
        """Output of QEMU itself."""
        return self.folder / "qemu.log"

    @property
    def console(self) -> Path:
        """The folder of the console logs."""
        return self.folder / "console"

    @property
    def previous(self) -> Path:
        """The logs of the run before this one."""
        return self.folder / "previous"

    def console_log(self, uart: str) -> Path:
        """The time-stamped log of one UART."""
        return self.console / f"{uart}.log"

    def console_raw(self, uart: str) -> Path:
        """The bytes of one UART as they came."""
        return self.console / f"{uart}.raw"

    def of_one_run(self) -> list[Path]:
        """What a new run sets aside."""
        return [self.console, self.events, self.supervisor_log, self.qemu_log, self.state, self.spec]


def runtime_root() -> Path:
    """The user's own folder for sockets: $XDG_RUNTIME_DIR/orch or /tmp/orch-<uid>."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir() and os.access(base, os.W_OK):
        return Path(base) / "orch"
    return Path(f"/tmp/orch-{os.getuid()}")  # noqa: S108 - short on purpose; ownership and mode are checked


def runtime_folder(run_folder: Path) -> Path:
    """Where a run has its sockets, named by a hash of the run folder; raises EnvError if paths get too long."""
    name = hashlib.sha256(os.fsencode(run_folder.resolve())).hexdigest()[:12]
    folder = runtime_root() / name
    length = len(os.fsencode(folder / _LONGEST_NAME))
    if length > LONGEST_SOCKET_PATH:
        raise EnvError(
            f"{folder}: socket paths would have {length} bytes, the system allows {LONGEST_SOCKET_PATH}",
            hint="point XDG_RUNTIME_DIR to a folder with a shorter name, or unset it",
        )
    return folder


def make_runtime_folder(folder: Path, run_folder: Path) -> None:
    """Make the (empty) socket folder, private to the user; raises EnvError if somebody else could reach it."""
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        _check_private(folder.parent)
        remove_runtime_folder(folder)
        folder.mkdir(mode=0o700)
        (folder / "run-folder").write_bytes(os.fsencode(run_folder) + b"\n")
    except OSError as error:
        raise EnvError(f"{folder}: cannot make the folder for sockets: {error.strerror}") from None


def remove_runtime_folder(folder: Path) -> None:
    """Remove the socket folder of one run, and the root when it was the last."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not mine:
        raise EnvError(f"{folder}: is not a folder of this user", hint="remove it, or set XDG_RUNTIME_DIR")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise EnvError(f"{folder}: others may enter it", hint=f"chmod 700 {folder}")
