# SPDX-License-Identifier: Apache-2.0
"""Make artifacts: run the recipes of what is not in the cache yet, independent ones in parallel."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.build.bootstrap import pace
from orchestrator.build.cache import Cache, Manifest, Scratch
from orchestrator.build.graph import Graph, Keys, Node, differences, in_order
from orchestrator.build.run import CommandError, run, shown
from orchestrator.build.schedule import PARALLEL, Planned, Schedule, alone
from orchestrator.build.tools import ToolVersions
from orchestrator.errors import BuildError, EnvError, OrchError

if TYPE_CHECKING:
    from orchestrator.build.progress import Progress

SOURCE_DATE_EPOCH = "1767225600"  # 2026-01-01T00:00:00Z: no artifact carries the time of its build
_UMASK = 0o022  # what a recipe makes has the same permissions whoever builds it
_SAFE = re.compile(r"[\w./+@,=~-]+", re.ASCII)  # what make lets stand in the name of a file
_Pins = dict[str, Manifest]  # of package sets, as they were before these were fetched


class Packages(Protocol):
    """The pinned package sets from outside, as the builder needs them."""

    def manifest(self, name: str) -> Manifest:
        """The effective pin of a package set."""
        ...

    def prepare(self, names: list[str]) -> None:
        """Download what is not in the cache; may substitute dropped versions, which changes manifests."""
        ...

    def cancel(self) -> None:
        """End the download under way in another thread; no other one starts."""
        ...

    def progress(self) -> str:
        """What the download under way has brought so far."""
        ...

    def download_bytes(self, name: str) -> int:
        """Bytes that preparing this package set would download."""
        ...

    def fetch(self, name: str) -> Path:
        """Folder with the verified files of a package set."""
        ...


class Builder:
    """Builds nodes of one project into one cache."""

    def __init__(self, graph: Graph, cache: Cache, packages: Packages, progress: Progress) -> None:
        self.graph = graph
        self.cache = cache
        self.packages = packages
        self.progress = progress
        self.keys = self._fresh_keys()
        self._cancelled = threading.Event()

    def _fresh_keys(self) -> Keys:
        return Keys(self.graph, self.packages.manifest, ToolVersions(self.cache.root / "tool-versions.json"))

    def artifact(self, node: Node) -> Path:
        """The folder of a built node."""
        return self.cache.artifact(self.keys.key(node))

    def plan(self, targets: list[Node]) -> list[Planned]:
        """What is not in the cache, upstream first, each with what changed since its last build here."""
        planned = []
        for node in in_order(targets):
            key = self.keys.key(node)
            if not self.cache.has(key):
                last = self.cache.last_manifest(self.graph.project, node.file_label)
                planned.append(Planned(node, key, differences(last, self.keys.manifest(node))))
        return planned

    def build(self, targets: list[Node]) -> list[Planned]:
        """Make all targets; returns what was built. The first failure ends the other recipes and is raised."""
        planned = self.plan(targets)
        if planned:
            self._check_space(planned)
            planned = self._run_all(targets, planned)
        for node in in_order(targets):
            self.cache.remember(self.graph.project, node.file_label, self.keys.manifest(node))
        return planned

    def _check_space(self, planned: list[Planned]) -> None:
        """Refuse before the first byte rather than fail in the middle of a kernel build; raises EnvError."""
        if not _SAFE.fullmatch(str(self.cache.root)):
            raise EnvError(
                f"{self.cache.root}: make and the kernel's build cannot work in a folder of this name",
                hint="set XDG_CACHE_HOME to one of letters, digits and ./+@,=~-_ alone",
            )
        names = {name for item in planned for name in item.node.spec.packages}
        downloads = sum(self.packages.download_bytes(name) for name in names) >> 20
        needed = sum(item.node.spec.mib for item in planned) + downloads
        free = self.cache.free_mib()
        if free < needed:
            raise EnvError(
                f"not enough space for the build: {self.cache.root} has {free} MiB free, {needed} MiB are needed",
                hint="free some, set XDG_CACHE_HOME to a larger disk, or run `orch clean --cache`",
            )

    def _run_all(self, targets: list[Node], planned: list[Planned]) -> list[Planned]:
        """Fetch packages and run recipes side by side, each as soon as it can; returns what was built, in order."""
        schedule = Schedule(planned, lambda name: self.packages.download_bytes(name) > 0)
        running: dict[Future[None], Planned | _Pins] = {}
        built: dict[Node, Planned] = {}
        failure: BaseException | None = None
        with ThreadPoolExecutor(PARALLEL + 1) as pool:  # one more: downloads
            try:
                while running or (failure is None and not schedule.over):
                    if failure is None:
                        running |= self._start(pool, schedule)
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        item = running.pop(future)
                        failure = failure or future.exception()
                        if isinstance(item, Planned):
                            schedule.built(item.node)
                            built[item.node] = item
                        elif failure is None:
                            self._fetched(item, schedule, targets)
                    if failure is not None:
                        self._cancel()
            except BaseException:  # Ctrl-C: leaving the pool waits for its threads, so they must end first
                self._cancel()
                raise
        if failure is not None:
            raise failure
        return [built[node] for node in in_order(targets) if node in built]

    def _start(self, pool: ThreadPoolExecutor, schedule: Schedule) -> dict[Future[None], Planned | _Pins]:
        """Hand out all that can be under way now."""
        started: dict[Future[None], Planned | _Pins] = {}
        names = schedule.next_fetch()
        if names:
            pins = {name: self.packages.manifest(name) for name in names}
            started[pool.submit(self._fetch, names)] = pins
        while (item := schedule.next_node()) is not None:
            started[pool.submit(self._make, item)] = item
        return started

    def _fetch(self, names: list[str]) -> None:
        with self.progress.stage(f"download {', '.join(names)}", last_line=self.packages.progress):
            self.packages.prepare(names)

    def _fetched(self, pins: _Pins, schedule: Schedule, targets: list[Node]) -> None:
        """Let the nodes go that waited for these packages; where one was substituted, with the keys that follow."""
        schedule.fetched()
        if any(self.packages.manifest(name) != pin for name, pin in pins.items()):
            self.keys = self._fresh_keys()
            schedule.replan(self.plan(targets))

    def _cancel(self) -> None:
        self._cancelled.set()
        self.packages.cancel()

    def _make(self, item: Planned) -> None:
        """Build one node unless another process has done so while we waited for its lock."""
        if self._cancelled.is_set():
            raise BuildError(f"build of {item.node.label} was cancelled")
        with self.cache.lock(item.key):
            if self.cache.has(item.key):
                return
            scratch = self.cache.scratch(item.key)
            last = _LastLine(scratch.log)
            estimate = alone(item.node, _cores()) * pace()
            with self.progress.stage(f"build {item.node.label}", estimate=estimate, last_line=last):
                try:
                    self._run_recipe(item.node, scratch)
                    self.cache.commit(item.key, scratch, self.keys.manifest(item.node))
                except CommandError as error:
                    raise self._explain(item, scratch, error) from None
                except OSError as error:
                    self.cache.abandon(item.key, scratch, item.node.file_label)
                    raise _os_failure(item.node, self.cache, error) from None

    def _run_recipe(self, node: Node, scratch: Scratch) -> None:
        self._lay_out(node, scratch)
        argv, environment = self.command(node, scratch), self.environment(node, scratch)
        run(argv, cwd=scratch.work, env=environment, log=scratch.log, cancel=self._cancelled, umask=_UMASK)
        if not any(scratch.out.iterdir()):
            raise BuildError(f"recipe of {node.label} left nothing in $OUT")

    def _lay_out(self, node: Node, scratch: Scratch) -> None:
        """Give the recipe the files that it declares, and nothing else of the project.

        So it does not matter where the checkout is, what its folders are called and who may read them.
        """
        files: dict[str, str] = self.keys.manifest(node)["files"]
        given = [(self.graph.project / name, scratch.project / name, state[0] == "x") for name, state in files.items()]
        given += [
            (Path(value), scratch.project / key, False) for key, value in node.params if key.endswith("_file") and value
        ]
        for source, copy, executable in given:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            copy.chmod(0o755 if executable else 0o644)

    def command(self, node: Node, scratch: Scratch | None = None) -> list[str]:
        """The recipe as a command; the whole process group ends when orch dies. Without `scratch`, for people."""
        script = str(self._source(node, scratch) / node.spec.script)
        # bash runs a trap only between commands, so the recipe runs beside it; `kill 0` reaches make's children too.
        guard = 'trap "trap - TERM; kill -TERM 0" TERM; bash -euo pipefail "$1" & wait "$!"'
        return ["setpriv", "--pdeathsig", "TERM", "bash", "-c", guard, "recipe", script]

    def _source(self, node: Node, scratch: Scratch | None) -> Path:
        """The folder of a recipe."""
        folder = node.declared.folder
        return scratch.project / folder.relative_to(self.graph.project) if scratch else folder

    def environment(self, node: Node, scratch: Scratch | None) -> dict[str, str]:
        """The variables a recipe sees; nothing else of the caller's environment reaches it."""
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(scratch.work if scratch else "$WORK"),
            "LC_ALL": "C",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
            "JOBS": str(_cores()),
            "CCACHE_DIR": str(self.cache.root / "ccache"),
            "SRC": str(self._source(node, scratch)),
            "PROJECT": str(scratch.project if scratch else self.graph.project),
            "OUT": str(scratch.out) if scratch else "$OUT",
            "WORK": str(scratch.work) if scratch else "$WORK",
        }
        for key, value in node.params:
            copied = scratch is not None and key.endswith("_file") and value
            env[f"PARAM_{key}"] = str(scratch.project / key) if scratch and copied else value
        for name in node.spec.packages:
            env[_variable("IN", name)] = str(self.packages.fetch(name)) if scratch else f"<packages {name}>"
        for other in node.upstream:
            env[_variable("NODE", other.name)] = str(self.artifact(other))
        return env

    def commands(self, planned: list[Planned]) -> list[str]:
        """The recipes of a plan as shell lines, for --dry-run."""
        lines = []
        for item in planned:
            variables = {k: v for k, v in self.environment(item.node, None).items() if k not in {"PATH", "HOME"}}
            lines.append(shown(["env", *(f"{k}={v}" for k, v in variables.items()), *self.command(item.node)]))
        return lines

    def _explain(self, item: Planned, scratch: Scratch, error: CommandError) -> OrchError:
        """The failure of a recipe, with its log where it survives; a full disk is named as such."""
        kept = self.cache.abandon(item.key, scratch, item.node.file_label)
        if "No space left on device" in error.output:
            return _os_failure(item.node, self.cache, OSError(errno.ENOSPC, "No space left on device"))
        return BuildError(
            f"building {item.node.label} failed: {cause_in(error.output) or error.message}", hint=f"log: {kept}"
        )


def cause_in(output: str) -> str:
    """The line of a recipe's output that says why it failed: a compiler's or tool's error, not make's echo of it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("make:", "make[", "Makefile:"))]
    named = [line for line in own if "error:" in line.lower()]
    return next(iter(named or own[::-1] or lines[::-1]), "")


def _os_failure(node: Node, cache: Cache, error: OSError) -> OrchError:
    if error.errno == errno.ENOSPC:
        return EnvError(
            f"no space left while building {node.label}: {cache.root} has {cache.free_mib()} MiB free",
            hint="free some, set XDG_CACHE_HOME to a larger disk, or run `orch clean --cache`",
        )
    return BuildError(f"building {node.label} failed: {error}")


def _cores() -> int:
    return os.cpu_count() or 1


def _variable(prefix: str, name: str) -> str:
    return f"{prefix}_{name.replace('-', '_')}"


class _LastLine:
    """The last line of a growing log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __call__(self) -> str:
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(0, self._log.stat().st_size - 400))
                lines = stream.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line.strip()), "")
