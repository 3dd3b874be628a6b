# SPDX-License-Identifier: Apache-2.0
"""The attacker: root on the emulated host, with the programs of guest/host/attack."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.privacy import answers
from orchestrator.shell import ssh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fabric import Connection

    from orchestrator.testbed.testbed import Testbed

FOLDER = "/run/attack"
_DELEGATED = "/sys/kernel/debug/realm/pages"  # without the driver's module, which a VM does not need, it is not there
_PROGRAM, _NEEDLES = f"{FOLDER}/attack", f"{FOLDER}/needles"


def is_realm(world: str) -> bool:
    """Whether a world's name (realm, realm2, …) is that of a realm."""
    return world.startswith("realm")


@dataclass(frozen=True)
class Attacker:
    """A session of root on the host; `limit` (s) is for each step."""

    link: Connection
    limit: float

    def scan(self, needles: Path, pids: Sequence[int]) -> answers.Scan:
        """Search all that can be read: physical memory, these processes (VMMs), files and disks."""
        ssh.put(self.link, needles, _NEEDLES)
        return answers.read_scan(self._run("scan", _NEEDLES, *map(str, pids)), vmm=bool(pids))

    def touch(self, kind: str, count: int, seed: int) -> answers.Touches:
        """Read random pages, a process each: of the `delegated` ones, or `other`."""
        return answers.read_touches(self._run("touch", kind, str(count), str(seed)))

    def carve(self, pids: Sequence[int], into: Path) -> list[Path]:
        """Model files rebuilt from page caches of these VMMs' guests, or the host's own; copied to folder `into`."""
        carved = answers.read_carved(self._run("carve", FOLDER, *map(str, pids)))
        files = [into / f"carved-{number}.bin" for number in range(len(carved))]
        for each, file in zip(carved, files, strict=True):
            ssh.get(self.link, each.path, file)
            if each.path.startswith(f"{FOLDER}/"):
                ssh.capture(self.link, shlex.join(["rm", each.path]))
        return files

    def dma(self, address: int) -> bool:
        """Have a device write four bytes to a physical address; whether it says that it did."""
        return answers.read_dma(self._run("dma", hex(address)))

    def delegated(self, world: str) -> list[int]:
        """Addresses of the pages that the driver has delegated.

        Raises OrchError if there is none although a realm is attacked: what decides there could not be checked.
        """
        listed = ssh.attempt(self.link, f"cat {_DELEGATED}", self.limit)
        pages = [] if listed.code else [int(line, 16) for line in listed.stdout.split()]
        if not pages and is_realm(world):
            why = f"cannot be read: {listed.words}" if listed.code else "is empty"
            raise OrchError(f"the driver's list of delegated pages {why}", hint=f"{_DELEGATED} in the host")
        return pages

    def vmm(self, world: str) -> list[int]:
        """The process of a guest's VMM; none for the host itself."""
        if world == "host":
            return []
        return [int(ssh.capture(self.link, f"cat /run/guest/{shlex.quote(world)}/pid"))]

    def _run(self, *words: str) -> str:
        done = ssh.attempt(self.link, shlex.join([_PROGRAM, *words]), self.limit)
        if done.code:
            raise OrchError(f"attack {words[0]}: {done.words}")
        return done.stdout


@contextmanager
def attacker(bed: Testbed, limit: float) -> Iterator[Attacker]:
    """The attacker's session on the host of a testbed; its files are removed at the end."""
    node = bed.graph.node("attack")
    bed.builder.build([node])
    with bed.host() as link:
        ssh.capture(link, f"mkdir -p {FOLDER}")
        ssh.put(link, bed.builder.artifact(node) / "attack", _PROGRAM)
        try:
            yield Attacker(link, limit)
        finally:
            if link.is_connected:
                ssh.attempt(link, f"rm -rf {FOLDER}")
