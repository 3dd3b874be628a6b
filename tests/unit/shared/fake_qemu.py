# SPDX-License-Identifier: Apache-2.0
"""Stands in for QEMU: connects the consoles, the monitor and the resume port, then behaves as its first word says."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

BOOT = [
    "NOTICE:  Booting Trusted Firmware",
    "INFO:    BL31: Preparing for EL3 exit to normal world",
    "\x1b[1mBooting\x1b[0m",
]
ENDS: dict[str, list[str]] = {
    "ready": ["orch: host-ready"],
    "panic": ["Kernel panic - not syncing: no init", "end of trace"],
    "hung-panic": ["Kernel panic - not syncing: no init"],
    "host-failed": ["orch: host-failed: no disk"],
    "reset": ["restarting"],
    "off": ["PANIC at PC : 0x0"],
    "die": ["about to die"],
    "silent": [],
    "stubborn": ["orch: host-ready"],
}


def connect(name: str) -> socket.socket:
    """Connect the character device of this name."""
    for word in sys.argv:
        if word.startswith(f"socket,id={name},"):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(word.split("path=")[1].split(",")[0])
            return connection
    raise SystemExit(f"no character device {name}")


class Monitor:
    """The machine's end of QMP."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.socket = connect("qmp")
        self.finishing = 0
        self.negotiated = threading.Event()

    def send(self, message: dict[str, Any]) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\r\n")

    def reply(self, request: dict[str, Any], message: dict[str, Any]) -> None:
        self.send(message | {key: request[key] for key in ("id",) if key in request})

    def requests(self) -> Iterator[dict[str, Any]]:
        """Requests come without an end of line."""
        pending = ""
        while data := self.socket.recv(4096):
            pending += data.decode()
            while pending.strip():
                try:
                    request, end = json.JSONDecoder().raw_decode(pending.lstrip())
                except ValueError:
                    break
                pending = pending.lstrip()[end:]
                yield request

    def event(self, name: str, **data: Any) -> None:
        self.send({"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 0}})

    def shutdown(self, reason: str) -> None:
        self.event("SHUTDOWN", guest=reason.startswith("guest"), reason=reason)
        os._exit(0)

    def serve(self) -> None:
        version = {"qemu": {"major": 10, "minor": 0, "micro": 0}, "package": ""}
        self.send({"QMP": {"version": version, "capabilities": []}})
        for request in self.requests():
            command, arguments = request["execute"], request.get("arguments", {})
            if command == "quit" and self.behaviour == "stubborn":
                continue
            if command == "nonsense":
                self.reply(request, {"error": {"class": "CommandNotFound", "desc": "no such command"}})
                continue
            answer: dict[str, Any] = {}
            if command == "query-status":
                self.finishing -= 1
                answer = {"status": "finish-migrate" if self.finishing > 0 else "postmigrate"}
            if command == "pmemsave":
                self.save_memory(arguments)
            if command in ("stop", "cont"):
                self.event({"stop": "STOP", "cont": "RESUME"}[command])
            if command == "query-migrate":
                answer = {"error-desc": "No space left on device"}
            self.reply(request, {"return": answer})
            if command == "migrate-set-capabilities":
                self.negotiated.set()
            if command == "quit":
                self.shutdown("host-qmp-quit")
            if command in ("migrate", "migrate-incoming"):
                self.migrate(command, arguments["uri"].removeprefix("file:"))

    def save_memory(self, arguments: dict[str, Any]) -> None:
        """Memory that has its own address in each 4 KiB: the first of them is all that is written of a large piece."""
        size = min(arguments["size"], 4096)
        with open(arguments["filename"], "wb") as file:  # noqa: PTH123
            file.write((arguments["val"].to_bytes(8, "little") * (size // 8 + 1))[:size])

    def migrate(self, command: str, path: str) -> None:
        if "refuse" in path:
            sys.stderr.write("qemu-system-aarch64: Missing section footer\n")
            sys.stderr.write("qemu-system-aarch64: load of migration failed: Invalid argument\n")
            os._exit(1)
        if command == "migrate":
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - as small and quick to start as can be
                file.write("state")
            self.finishing = 3
        self.event("MIGRATION", status="failed" if "full" in path else "completed")


def resume(port: socket.socket) -> None:
    waiting = False  # for a go; somebody begins to after the first that found nobody
    while record := port.recv(88, socket.MSG_WAITALL):
        if record == b"ORCHGO_1" + bytes(80):
            port.sendall(b"ok\n" if waiting else b"error: nobody waits\n")
            waiting = True
        else:
            port.sendall(b"ok\n" if record.startswith(b"ORCHRSM1") else b"what?\n")


def main() -> None:
    behaviour = sys.argv[1]
    if behaviour == "bad-option":
        sys.exit("qemu-system-aarch64: -nonsense: invalid option")
    if behaviour == "port-taken":
        sys.exit("qemu-system-aarch64: Could not set up host forwarding rule 'tcp:127.0.0.1:2222-:22'")
    if behaviour == "die-early":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    uart, _uart1 = connect("uart0"), connect("uart1")
    monitor = Monitor(behaviour)
    threading.Thread(target=monitor.serve, daemon=True).start()
    threading.Thread(target=resume, args=(connect("resume"),), daemon=True).start()
    monitor.negotiated.wait()
    if "-incoming" not in sys.argv:
        uart.sendall("".join(f"{line}\r\n" for line in BOOT + ENDS[behaviour]).encode())
    if behaviour in ("panic", "reset"):
        monitor.shutdown("guest-reset")
    if behaviour == "off":
        monitor.shutdown("guest-shutdown")
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    uart.sendall(b"prompt # ")
    while data := uart.recv(100):
        uart.sendall(data.upper())
    time.sleep(60)


if __name__ == "__main__":
    main()
