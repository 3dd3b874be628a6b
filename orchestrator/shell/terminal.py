# SPDX-License-Identifier: Apache-2.0
"""Commands and shells in a world that are joined to our own stdin, stdout and stderr."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import termios
import threading
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.files import write_whole
from orchestrator.shell.commands import CHUNK, executes, exit_code, start
from orchestrator.shell.link import LOST, SIGNALLED, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import paramiko
    from fabric import Connection

_LOOK = 0.2  # s between looks whether the command has ended while nothing is typed


def execute(link: Connection, argv: Sequence[str]) -> int:
    """Run a command with our own stdin, stdout and stderr, byte for byte; returns its exit code (commands.exit_code).

    Raises LostError if the connection ends before it does.
    """
    return _join(link, start(link, executes(_line(argv))))


def terminal(link: Connection, argv: Sequence[str]) -> int:
    """Run a command on our terminal, every key passed on as it is; without a terminal like `execute`."""
    return _on_terminal(link, executes(_line(argv)))


def login(link: Connection) -> int:
    """A login shell on our terminal; returns the exit code of the last command in it.

    Without a terminal it reads its commands from our stdin.
    """
    return _on_terminal(link, lambda channel: channel.invoke_shell())


def _line(argv: Sequence[str]) -> str:
    """The command line of words, or a line as it is."""
    return argv[0] if len(argv) == 1 else shlex.join(argv)


def _on_terminal(link: Connection, ask: Callable[[paramiko.Channel], None]) -> int:
    if not os.isatty(0):
        return _join(link, start(link, ask))

    def ask_there(channel: paramiko.Channel) -> None:
        channel.get_pty(os.environ.get("TERM", "vt100"), *_size())
        ask(channel)

    channel = start(link, ask_there)
    with _raw(lambda: channel.resize_pty(*_size())):
        return _join(link, channel)


def _size() -> tuple[int, int]:
    """Columns and lines of our terminal; there are some that do not say."""
    size = os.get_terminal_size(0)
    return size.columns or 80, size.lines or 24


@contextmanager
def _raw(resized: Callable[[], None]) -> Iterator[None]:
    """Pass every key on in this block, and tell when the terminal gets another size."""
    saved = termios.tcgetattr(0)
    before = signal.signal(signal.SIGWINCH, lambda *_: resized())
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGWINCH, before)


def _join(link: Connection, channel: paramiko.Channel) -> int:
    """Pass everything on until the command has ended; no thread outlives an interrupt.

    A command whose output nobody reads any more is given up, as one that a broken pipe ended; raises OSError if its
    output cannot be written for another reason.
    """
    failures: list[OSError] = []

    def drain(receive: Callable[[int], bytes], sink: int) -> None:
        try:
            while data := receive(CHUNK):
                write_whole(sink, data)
        except OSError as error:
            failures.append(error)
            leave(channel)

    drains = [
        threading.Thread(target=drain, args=(receive, sink), daemon=True)
        for receive, sink in ((channel.recv, 1), (channel.recv_stderr, 2))
    ]
    for thread in (threading.Thread(target=_feed, args=(channel,), daemon=True), *drains):
        thread.start()
    for thread in drains:
        thread.join()
    if failures and isinstance(failures[0], BrokenPipeError):
        return SIGNALLED + signal.SIGPIPE
    if failures:
        raise failures[0]
    return exit_code(link, channel)


def _feed(channel: paramiko.Channel) -> None:
    """Pass our stdin on until it ends or the command does."""
    with contextlib.suppress(*LOST):
        while not channel.closed:
            data = _typed()
            if data is None:
                continue
            if not data:
                channel.shutdown_write()
                return
            channel.sendall(data)


def _typed() -> bytes | None:
    """What our stdin has: nothing at its end, or where there is none; None if nothing came for a while."""
    source = 0  # not sys.stdin, which does not exist where descriptor 0 is closed
    try:
        ready, _, _ = select.select([source], [], [], _LOOK)
        return os.read(source, CHUNK) if ready else None
    except BlockingIOError:  # of a descriptor that somebody else reads as well
        return None
    except OSError:
        return b""
