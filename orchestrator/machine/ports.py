# SPDX-License-Identifier: Apache-2.0
"""The loopback port on which the machine's SSH server appears."""

from __future__ import annotations

import socket

from orchestrator.errors import EnvError

LOOPBACK = "127.0.0.1"


class PortTakenError(EnvError):
    """Somebody else has the port."""


def choose_port(configured: int) -> int:
    """The configured port if it is free (else EnvError), or for 0 any free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier machine linger; QEMU sets this too, so the probe judges as QEMU will.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, configured))
            probe.listen(1)
        except OSError as error:
            raise port_taken(configured, error.strerror or str(error)) from None
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int, cause: str) -> PortTakenError:
    """The error for a port that cannot be used, with what to do."""
    return PortTakenError(
        f"port {port} on {LOOPBACK} cannot be used for SSH: {cause}",
        hint="choose another one as ssh.port in testbed.yaml; 0 takes any free port",
    )
