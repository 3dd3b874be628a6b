# SPDX-License-Identifier: Apache-2.0
"""Files and folders copied to a world and from it, by SFTP.

Names are bytes on both sides: one that is not UTF-8 arrives as it is. What a world says of its files is anybody's word.
"""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import shlex
import stat
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.sftp import CMD_CLOSE, CMD_HANDLE, CMD_NAME, CMD_OPENDIR, CMD_READDIR

from orchestrator.errors import EnvError, OrchError, UsageError
from orchestrator.shell.commands import attempt, lost
from orchestrator.shell.link import LOST, LostError, StalledError, cut, ended_by_server, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fabric import Connection

STILL_SECONDS = 300.0
"""That a copy may stand still."""
_CHUNK = 32768  # what every SFTP server takes in one request
_DEPTH = 64  # of folders that are copied: a machine could nest them without end, and a link lead back into its folder
_WHY_SECONDS = 10.0  # for a world to say what was wrong
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_PROBE_BYTES = 65536  # more than one request: what did not fit before does not fit now


def put(link: Connection, source: Path, target: str, still: float = STILL_SECONDS) -> None:
    """Copy a file or folder to the machine; a target that is a folder there receives it under its own name.

    No target is the home folder. Raises StalledError, and closes the connection, if nothing moves for `still` seconds;
    OrchError with the cause if the machine does not take it, and nothing is left of a half file then.
    """
    if not source.exists():
        raise UsageError(f"'{source}': no such file")
    with _copying(link, still) as copy:
        target = target or "."
        if target.endswith("/") or copy.is_folder(target):
            target = posixpath.join(target, Path(os.path.abspath(source)).name)  # noqa: PTH100 - not through links
        copy.put(source, target)


def get(link: Connection, source: str, target: Path, still: float = STILL_SECONDS) -> None:
    """Copy a file or folder from the machine; a target that is a folder here receives it under its own name.

    Raises StalledError as `put` does, and OrchError with the cause.
    """
    if target.is_dir():
        target = target / posixpath.basename(source.rstrip("/"))
    with _copying(link, still) as copy:
        copy.get(source, target)


@contextmanager
def _copying(link: Connection, limit: float) -> Iterator[_Copy]:
    """Copy in this block: a connection that ends, or on which nothing moves for `limit` seconds, is told in our words.

    The libraries have no limit of their own: for a subsystem they wait for ever, and a file that is given up waits for
    the answers to what it has sent. Who is interrupted waits for nothing.
    """
    moved = threading.Event()
    over = stalled = False

    def watch() -> None:
        nonlocal stalled
        while moved.wait(limit):
            moved.clear()
            if over:
                return
        stalled = True
        cut(link)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield _Copy(link, moved.set)
    except OrchError as error:
        if stalled:
            raise StalledError(f"copying stood still for {limit:g} s") from None
        if not link.is_connected and not isinstance(error, LostError):
            raise lost(link, EOFError("it hung up")) from None
        raise
    except (AttributeError, *LOST) as error:  # AttributeError: of a connection that was closed meanwhile
        if stalled:
            raise StalledError(f"copying stood still for {limit:g} s") from None
        raise lost(link, error) from None
    except (paramiko.SFTPError, ValueError) as error:
        raise OrchError(f"{link.host} does not speak SFTP as it should: {error}") from None
    except BaseException:
        cut(link)
        raise
    finally:
        over = True
        moved.set()
        watcher.join()


class _Sftp(paramiko.SFTPClient):
    """Lists folders by bytes: paramiko refuses a folder in which one name is not UTF-8."""

    def names(self, folder: bytes) -> list[bytes]:
        """What is in a folder, in the order of its bytes."""
        kind, message = self._request(CMD_OPENDIR, folder)
        if kind != CMD_HANDLE:
            raise paramiko.SFTPError("expected a handle")
        handle, found = message.get_binary(), []
        while True:
            try:
                kind, message = self._request(CMD_READDIR, handle)
            except EOFError:
                break
            if kind != CMD_NAME:
                raise paramiko.SFTPError("expected names")
            for _ in range(message.get_int()):
                found.append(message.get_string())
                message.get_string()  # the same for people
                paramiko.SFTPAttributes._from_msg(message)  # type: ignore[attr-defined]  # passes over it
        self._request(CMD_CLOSE, handle)
        return sorted(name for name in found if name not in (b".", b".."))

    def _request(self, *arguments: Any) -> tuple[int, paramiko.Message]:
        found: tuple[int, paramiko.Message] = super()._request(*arguments)  # type: ignore[misc]
        return found


@dataclass
class _Copy:
    """One copy of a file or folder on `link`; `moved` is told that something did."""

    link: Connection
    moved: Callable[[], None]

    # --- the session ----------------------------------------------------------------------------------------------

    @property
    def sftp(self) -> _Sftp:
        """The link's session, which is kept from one copy to the next: each is a program that the world starts."""
        known = getattr(self.link, "_sftp", None)
        if isinstance(known, _Sftp) and not known.get_channel().closed:  # type: ignore[union-attr]
            return known
        opened = _Sftp.from_transport(self.link.client.get_transport())
        assert isinstance(opened, _Sftp)  # noqa: S101
        self.link._sftp = opened  # where fabric keeps its own, and closes it with the link
        return opened

    def _given_up(self, error: BaseException) -> str | None:
        """End the session, in which answers to this copy may still come; in words if its server had ended it before.

        Raises LostError if it is the connection that ended.
        """
        channel = self.link._sftp.get_channel() if self.link._sftp is not None else None
        ended = channel is not None and ended_by_server(channel)
        if not self.link.is_connected or (not ended and isinstance(error, EOFError | paramiko.SSHException)):
            raise lost(self.link, error) from None
        if channel is not None:
            leave(channel)
        return "its SFTP server ended meanwhile" if ended else None

    def _mode(self, path: str) -> int | None:
        """Type and permissions of what is there; None if nothing is, or nothing can be said of it."""
        try:
            return self.sftp.stat(os.fsencode(path)).st_mode or 0
        except OSError:
            return None

    def is_folder(self, path: str) -> bool:
        """Whether it is one on the machine."""
        return stat.S_ISDIR(self._mode(path) or 0)

    # --- to the machine -------------------------------------------------------------------------------------------

    def put(self, source: Path, target: str, depth: int = 0) -> None:
        """Copy what is at `source`; raises OrchError."""
        self.moved()
        if source.is_dir():
            if depth == _DEPTH:
                raise OrchError(f"cannot copy {source}: folders are nested deeper than {_DEPTH}")
            if not self.is_folder(target):
                self._make_folder(source, target)
            for child in sorted(_children(source, target)):
                self.put(child, posixpath.join(target, child.name), depth + 1)
            return
        if depth and not source.is_file():  # one that is named itself may be a pipe with somebody at its other end
            raise OrchError(f"cannot copy {source}: neither a file nor a folder")
        self._put_file(source, target)

    def _make_folder(self, source: Path, target: str) -> None:
        try:
            self.sftp.mkdir(os.fsencode(target))
        except OSError as error:
            cause = self._why(error, target, f"mkdir {shlex.quote(target)}")
            raise OrchError(f"cannot copy {source} to {target}: {cause}") from None

    def _put_file(self, source: Path, target: str) -> None:
        mode = self._mode(target)
        plain = mode is None or stat.S_ISREG(mode)  # a device or a pipe is written to, and stays what it is
        with _local(source, target), source.open("rb") as local:
            try:
                self._write(local, target)
                if plain:
                    self.sftp.chmod(os.fsencode(target), stat.S_IMODE(os.fstat(local.fileno()).st_mode))
            except LOST as error:
                raise self._not_written(source, target, error, plain=plain) from None

    def _write(self, local: Any, target: str) -> None:
        """Requests go out without waiting for answers but behind the last one, where all of them are looked at."""
        remote = self.sftp.open(os.fsencode(target), "wb")
        try:
            remote.set_pipelined(True)
            data = local.read(_CHUNK)
            while data:
                following = local.read(_CHUNK)
                remote.set_pipelined(bool(following))
                remote.write(data)
                self.moved()
                data = following
        except BaseException:
            remote.set_pipelined(False)  # else its end would wait for the answers
            raise
        remote.close()

    def _not_written(self, source: Path, target: str, error: Exception, *, plain: bool) -> OrchError:
        """The error for a file that the machine did not take; what it has of it is removed."""
        # The printf of busybox's shell fails without a word.
        again = f"dd if=/dev/zero bs={_PROBE_BYTES} count=1 status=none >>{shlex.quote(target)}" if plain else ""
        cause = self._given_up(error) or self._why(error, target, again)
        if plain:
            with suppress(*LOST):
                self.sftp.remove(os.fsencode(target))
        return OrchError(f"cannot copy {source} to {target}: {cause}")

    def _why(self, error: Exception, target: str, again: str) -> str:
        """What was wrong with a file there: SFTP calls most of it "Failure", the shell's words for `again` say more."""
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            return f"no such folder: {posixpath.dirname(target) or '.'}"
        if isinstance(error, OSError) and error.errno is not None:
            return error.strerror or str(error)
        if not again:
            return str(error)
        with suppress(OrchError):
            said = attempt(self.link, again, _WHY_SECONDS)
            return said.last.rpartition(": ")[2] if said.code else str(error)
        return str(error)

    # --- from the machine -----------------------------------------------------------------------------------------

    def get(self, source: str, target: Path, depth: int = 0) -> None:
        """Copy what is at `source`; raises OrchError."""
        self.moved()
        if not self.is_folder(source):
            self._get_file(source, target)
            return
        if depth == _DEPTH:
            raise OrchError(f"cannot copy {source}: folders are nested deeper than {_DEPTH}")
        with _local(source, target):
            target.mkdir(exist_ok=True)
        for name in map(os.fsdecode, self._names(source)):
            # The machine's word: a realm or a VM may be anybody's.
            if name == "" or "/" in name or "\0" in name:
                raise OrchError(f"cannot copy {source}: the machine names a file {name!r} in it")
            self.get(posixpath.join(source, name), target / name, depth + 1)

    def _names(self, source: str) -> list[bytes]:
        try:
            return self.sftp.names(os.fsencode(source))
        except OSError as error:
            raise OrchError(f"cannot copy {source}: {error.strerror or error}") from None

    def _get_file(self, source: str, target: Path) -> None:
        if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
            with _local(source, target), target.open("wb") as sink:
                self._read(source, target, sink)
            return
        with _local(source, target):
            place = target.resolve()
            scratch = place.with_name(f".orch-{secrets.token_hex(8)}")  # no longer than any name may be
            try:
                with scratch.open("xb") as sink:
                    mode = self._read(source, target, sink)
                scratch.chmod(mode & 0o777)
                scratch.replace(place)
            finally:
                scratch.unlink(missing_ok=True)

    def _read(self, source: str, target: Path, sink: Any) -> int:
        """Write a file of the machine into `sink`; returns its mode."""
        try:
            remote = self.sftp.open(os.fsencode(source), "rb")
            facts = remote.stat()
            remote.prefetch(facts.st_size)
            while data := remote.read(_CHUNK):
                with _local(source, target):
                    sink.write(data)
                self.moved()
            remote.close()
        except OrchError as error:
            self._given_up(error)  # else what was asked for would still come
            raise
        except LOST as error:
            cause = self._given_up(error) or getattr(error, "strerror", None) or str(error)
            raise OrchError(f"cannot copy {source} to {target}: {cause}") from None
        return facts.st_mode or 0o644


def _children(source: Path, target: str) -> list[Path]:
    with _local(source, target):
        return list(source.iterdir())


@contextmanager
def _local(source: Path | str, target: Path | str) -> Iterator[None]:
    """What goes wrong with a file of this computer, in this block."""
    try:
        yield
    except OSError as error:
        kind = EnvError if error.errno in _NO_SPACE else OrchError
        raise kind(f"cannot copy {source} to {target}: {error.strerror or error}") from None
