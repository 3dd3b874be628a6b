# SPDX-License-Identifier: Apache-2.0
"""An `orch` that has read its modules before it is called: reading them costs more than most commands do.

A server reads them once and is copied (forked) for each command, so a command is a process as ever, with arguments,
environment, folder, standard streams and an exit code of its own, and runs `orch`'s own entry point to its end.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

_MODULES = ("orchestrator.cli.main", "orchestrator.testbed.testbed", "orchestrator.testbed.measurement")
_LONGEST = 1 << 17  # bytes of a request, most of it its environment
_STREAMS = 3


class Ready:
    """The server and how it is asked; one command after the other, or several at once by threads."""

    def __init__(self, program: Path) -> None:
        """`program` is what commands see as their own name."""
        self.program = program
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            server = [sys.executable, __file__, str(theirs.fileno())]
            self._server = subprocess.Popen(server, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._link = ours

    def close(self) -> None:
        self._link.close()  # which ends it
        self._server.wait(timeout=10)

    def run(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run has it
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As subprocess.run with captured text; raises TimeoutExpired after `timeout` s, when the command is killed."""
        argv = [str(self.program), *arguments]
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
            given.write((input or "").encode())
            given.seek(0)
            code = self._call(argv, [given.fileno(), out.fileno(), said.fileno()], timeout)
            out.seek(0)
            said.seek(0)
            return subprocess.CompletedProcess(argv, code, out.read().decode(), said.read().decode())

    def _call(self, argv: list[str], streams: list[int], timeout: float | None) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"argv": argv, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        with ours:
            with theirs:
                socket.send_fds(self._link, [request], [theirs.fileno(), *streams])
            pid = int(ours.recv(64))
            ours.settimeout(timeout)
            try:
                return os.waitstatus_to_exitcode(int(ours.recv(64)))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(argv, timeout or 0) from None


class Server:
    """Copies itself for each request that comes over a socket, until that is closed."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._running: dict[int, socket.socket] = {}
        self._ended, wake = socket.socketpair()
        for end in (self._ended, wake):
            end.setblocking(False)
        self._wake = wake

    def serve(self) -> bool:
        """True in a copy that is to run a command; False at the end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        with selectors.DefaultSelector() as selector:
            for source in (self._link, self._ended):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._ended:
                        self._bury()
                        continue
                    request, fds, _, _ = socket.recv_fds(self._link, _LONGEST, 1 + _STREAMS)
                    if not request:
                        return False
                    if self._copy(json.loads(request), fds):
                        return True

    def _bury(self) -> None:
        self._ended.recv(4096)
        for pid in list(self._running):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                with self._running.pop(pid) as caller, suppress(BrokenPipeError):  # one that did not wait for it
                    caller.send(str(status).encode())

    def _copy(self, request: dict[str, Any], fds: list[int]) -> bool:
        caller, *streams = fds
        pid = os.fork()
        if pid:
            self._running[pid] = socket.socket(fileno=caller)
            self._running[pid].send(str(pid).encode())
            for each in streams:
                os.close(each)
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for own in (self._link, self._ended, self._wake, *self._running.values()):
            own.close()
        os.close(caller)
        for number, each in enumerate(streams):
            os.dup2(each, number)
            os.close(each)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["argv"]
        return True


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.remove(str(Path(__file__).parent))
    for name in _MODULES:
        __import__(name)
    if Server(socket.socket(fileno=int(sys.argv[1]))).serve():
        from orchestrator.cli.start import entry

        entry()
