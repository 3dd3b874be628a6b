# SPDX-License-Identifier: Apache-2.0
"""Commands in a world whose output is wanted here; each has a limit, and each way to end has its own words."""

from __future__ import annotations

import os
import shlex
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import BootError, OrchError
from orchestrator.shell.link import LOST, SIGNALLED, LostError, ended_by_server, leave, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import paramiko
    from fabric import Connection

CHANNEL_SECONDS = 30.0
"""For a channel to be opened, and for what is asked for in it to be answered; paramiko would wait for ever."""
CHUNK = 32768


def lost(link: Connection, error: BaseException) -> LostError:
    """The error for a connection on which that went wrong."""
    return LostError(f"{link.host} no longer answers: {str(error) or type(error).__name__}")


def start(link: Connection, ask: Callable[[paramiko.Channel], None], limit: float | None = None) -> paramiko.Channel:
    """A channel in which `ask` has got its answer (`executes(…)`); raises LostError.

    `limit` in seconds, without one CHANNEL_SECONDS.
    """
    limit = CHANNEL_SECONDS if limit is None else limit
    deadline = time.monotonic() + limit
    channel: paramiko.Channel | None = None
    transport = link.client.get_transport()
    if transport is None:
        raise LostError(f"{link.host} no longer answers")

    def give_up() -> None:
        if channel is not None:
            leave(channel)

    with within(limit, give_up):
        try:
            channel = transport.open_session(timeout=limit)
            ask(channel)
        except LOST as error:
            if time.monotonic() >= deadline:
                raise LostError(f"{link.host} no longer answers: no channel within {limit:g} s") from None
            raise lost(link, error) from None
    return channel


def executes(command: str) -> Callable[[paramiko.Channel], None]:
    """What `start` needs for a command; a name in it that is not UTF-8 stays what it is."""
    return lambda channel: channel.exec_command(os.fsencode(command))


def exit_code(link: Connection, channel: paramiko.Channel) -> int:
    """Wait for the end of a channel's command: its exit code, 128 + N if signal N ended it.

    Raises LostError if the connection ended first. A signal that the server has no name for is N = 0.
    """
    code = int(channel.recv_exit_status())
    if code != -1:
        return code
    if ended_by_server(channel):
        return SIGNALLED
    raise LostError(f"{link.host} no longer answers")


def capture(link: Connection, command: str, timeout: float = 60.0) -> str:
    """Run a command that must succeed; returns its standard output. `timeout` in seconds."""
    done = attempt(link, command, timeout)
    if done.code != 0:
        raise OrchError(f"'{command}' ended with exit code {done.code}: {done.last or 'no output'}")
    return done.stdout


@dataclass(frozen=True)
class Finished:
    """How a command on the machine ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def last(self) -> str:
        """The last line that it said, on stderr if there is one; nothing if there is none."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else ""

    @property
    def words(self) -> str:
        """What to tell of it: its last line, else its exit code."""
        return self.last or f"exit code {self.code} without a word"


def attempt(link: Connection, command: str, timeout: float = 60.0) -> Finished:
    """Run a command that may fail; raises BootError if the machine goes away or `timeout` (s) passes."""
    channel: paramiko.Channel | None = None

    def give_up() -> None:
        if channel is not None:
            leave(channel)

    with within(timeout, give_up) as too_late:
        try:
            channel = start(link, executes(command), min(timeout, CHANNEL_SECONDS))
            stdout, stderr = _read_all(channel)
            code = exit_code(link, channel)
        except LostError:
            if not too_late():
                raise
        finally:
            give_up()
        if too_late():
            raise BootError(f"'{command.split(';', maxsplit=1)[0]}' did not end within {timeout:g} s")
    return Finished(code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def _read_all(channel: paramiko.Channel) -> tuple[bytes, bytes]:
    """What a command says on stdout and stderr, to the end of both."""
    parts: dict[str, list[bytes]] = {"out": [], "err": []}

    def read(name: str, receive: Callable[[int], bytes]) -> None:
        while data := receive(CHUNK):
            parts[name].append(data)

    other = threading.Thread(target=read, args=("err", channel.recv_stderr), daemon=True)
    other.start()
    read("out", channel.recv)
    other.join()
    return b"".join(parts["out"]), b"".join(parts["err"])


def follow(link: Connection, argv: Sequence[str]) -> Iterator[str]:
    """The lines that a command prints, as they come."""
    channel = start(link, executes(shlex.join(argv)))
    with channel.makefile("r") as lines:
        for line in lines:
            yield line.rstrip("\n")


@contextmanager
def closed_after(link: Connection, other: Connection, argv: Sequence[str]) -> Iterator[Callable[[], bool]]:
    """Close `link` as soon as a command on `other` ends; leaving the block ends that command's standard input.

    What is yielded says whether the command has ended.
    """
    over = threading.Event()
    leaving = threading.Event()
    channel = start(other, executes(shlex.join(argv)))

    def watch() -> None:
        channel.recv_exit_status()
        if not leaving.is_set():
            over.set()
            leave(link)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield over.is_set
    finally:
        leaving.set()
        leave(channel)  # which also ends the wait for its exit status
        watcher.join()
