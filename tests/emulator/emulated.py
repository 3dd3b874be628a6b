# SPDX-License-Identifier: Apache-2.0
"""One testbed for a test, driven by the real command or in-process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ready import Ready
from store import Store

from orchestrator.build.progress import Silent
from orchestrator.errors import UsageError
from orchestrator.shell import ssh
from orchestrator.testbed.links import Links
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed

ROOT = Path(__file__).resolve().parents[2]
ORCH = Path(sys.executable).parent / "orch"


@cache
def ready() -> Ready:
    """This process's own; it ends with it."""
    return Ready(ORCH)


@dataclass(frozen=True)
class Bed:
    """One testbed file in a folder of its own, driven by the real command or in-process."""

    file: Path

    def orch(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `orch --testbed FILE …` to its end (options: Ready.run); never raises on a non-zero exit."""
        return ready().run(*self.command(*arguments)[1:], **options)

    def command(self, *arguments: str) -> list[str]:
        return [str(ORCH), "--testbed", str(self.file), *arguments]

    def open(self) -> Testbed:
        return Testbed(Project.open(self.file), Silent())

    @cached_property
    def near(self) -> Testbed:
        """The testbed in this process, on connections that are kept: a new one costs more than most commands."""
        testbed = self.open()
        testbed.kept = Links(testbed)
        return testbed

    def ask(self, world: str, script: str, timeout: float = 120) -> ssh.Finished:
        """Run a script in a world; raises BootError if that goes away meanwhile or `timeout` (s) passes."""
        with self.near.link(world) as link:
            return ssh.attempt(link, script, timeout)

    def put(self, world: str, files: Iterable[Path], folder: str = "/tmp/") -> None:
        """Copy files into a world."""
        with self.near.link(world) as link:
            for file in files:
                ssh.put(link, file, folder)

    def hang_up(self, world: str | None = None) -> None:
        """Close the connection to a world, or all."""
        if self.near.kept is not None:
            self.near.kept.hang_up(world)

    def end(self) -> None:
        """Nothing of the machine runs any more; guests are not asked first, as `orch down` would."""
        with suppress(UsageError):  # of a file that was no testbed
            self.hang_up()
            self.near.instance.stop()


@dataclass
class Maker:
    """Makes testbed files; every machine started from them is taken down again."""

    folder: Path
    store: Store
    made: list[Bed] = field(default_factory=list)
    states: list[Path] = field(default_factory=list)

    def __call__(
        self, *replacements: tuple[str, str], name: str = "testbed.yaml", extra: str = "", own: bool = False
    ) -> Bed:
        """The shipped file with text replaced and added; one that is the test's `own` has nothing of the store."""
        text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = self.folder / name
        path.write_text(text + extra, encoding="utf-8")
        self.made.append(Bed(path))
        if not own:
            self._lend(path)
        return self.made[-1]

    def _lend(self, path: Path) -> None:
        with suppress(UsageError):  # a test may want a file that is none
            state = Project.open(path).state_folder()
            self.store.lend(state)
            self.states.append(state)

    def close(self) -> None:
        for bed in self.made:
            bed.end()
        for state in self.states:
            self.store.keep(state)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def build(bed: Bed, name: str) -> Path:
    """Build a node for the bed's machine; the artifact's folder."""
    testbed = bed.near
    node = testbed.project.node(testbed.graph, name)
    testbed.builder.build([node])
    return testbed.builder.artifact(node)


def load_rmi_check(bed: Bed) -> None:
    """Build the RMI test module for the machine's kernel and load it there; loading runs its checks."""
    bed.put("host", [build(bed, "rmi-check") / "rmi_check.ko"])
    host(bed, "insmod /tmp/rmi_check.ko")


def tap_failures(tap: str) -> list[str]:
    """The failed lines of a TAP report, which must be complete and hold at least one check."""
    lines = [line for line in tap.splitlines() if line.startswith(("ok ", "not ok "))]
    assert lines, tap
    assert f"1..{len(lines)}" in tap
    return [line for line in lines if line.startswith("not ok")]


def make_realms_possible(bed: Bed, *nodes: str) -> None:
    """Bring the host up with VMM and driver in /tmp, the driver loaded, and the files of further nodes beside them.

    A host that has some of that keeps it.
    """
    done = bed.orch("up")
    assert done.returncode == 0, done.stderr
    files = [file for node in ("rvmm", "realm-driver", *nodes) for file in sorted(build(bed, node).iterdir())]
    there = host(bed, "ls /tmp").split()
    # One that describes is for the build computer.
    bed.put("host", [file for file in files if file.name not in there and not file.name.endswith("-describe")])
    host(bed, "test -c /dev/realm || insmod /tmp/realm.ko")


def host(bed: Bed, script: str, *, timeout: float = 120) -> str:
    """What a script prints that must succeed in the emulated host."""
    return inside(bed, "host", script, timeout=timeout)


def inside(bed: Bed, world: str, script: str, *, timeout: float = 120) -> str:
    """What a script prints that must succeed in a world."""
    done = bed.ask(world, script, timeout)
    assert done.code == 0, done.stdout + done.stderr
    return done.stdout
