# SPDX-License-Identifier: Apache-2.0
"""Running recipes: atomic results, locks, parallelism, failures, and death at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.build.builder import Builder, cause_in
from orchestrator.build.cache import Cache
from orchestrator.build.graph import Graph
from orchestrator.build.progress import Silent
from orchestrator.errors import BuildError, EnvError

NODE = """
nodes:
  a: {summary: a, script: a.sh, seconds: 1, mib: 1}
  b: {summary: b, script: b.sh, seconds: 1, mib: 1}
  top: {summary: top, script: top.sh, nodes: [a, b], seconds: 1, mib: 1}
"""


class NoPackages:
    """A project that needs no packages."""

    def manifest(self, name: str) -> dict[str, Any]:
        raise AssertionError(name)

    def prepare(self, names: list[str]) -> None:
        assert names == []

    def cancel(self) -> None:
        pass

    def progress(self) -> str:
        return ""

    def download_bytes(self, name: str) -> int:
        raise AssertionError(name)

    def fetch(self, name: str) -> Path:
        raise AssertionError(name)


class Remote:
    """Package sets that are fetched as slowly as a test wants; one may be substituted on the way."""

    def __init__(self, *absent: str) -> None:
        self.absent = set(absent)
        self.pins = dict.fromkeys(absent, 1)
        self.fetched: list[list[str]] = []
        self.go = threading.Event()
        self.cancelled = threading.Event()
        self.substituted: set[str] = set()

    def manifest(self, name: str) -> dict[str, Any]:
        return {"pin": self.pins[name]}

    def prepare(self, names: list[str]) -> None:
        self.fetched.append(names)
        while not self.go.wait(0.01):
            if self.cancelled.is_set():
                raise EnvError("the download was cancelled")
        self.absent -= set(names)
        self.pins |= dict.fromkeys(self.substituted & set(names), 2)

    def cancel(self) -> None:
        self.cancelled.set()

    def progress(self) -> str:
        return ""

    def download_bytes(self, name: str) -> int:
        return int(name in self.absent)

    def fetch(self, name: str) -> Path:
        assert name not in self.absent
        return Path("/nowhere")


def project(tmp_path: Path, **scripts: str) -> Path:
    folder = tmp_path / "project/images/x"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node.yaml").write_text(NODE)
    defaults = {"a": "echo A >$OUT/a", "b": "echo B >$OUT/b", "top": "cat $NODE_a/a $NODE_b/b >$OUT/top"}
    for name, script in (defaults | scripts).items():
        (folder / f"{name}.sh").write_text(f"set -euo pipefail\n{script}\n")
    return tmp_path / "project"


def builder(tmp_path: Path, root: Path) -> Builder:
    return Builder(Graph.load(root), Cache(tmp_path / "cache"), NoPackages(), Silent())


def test_builds_once_then_keeps(tmp_path: Path) -> None:
    made = builder(tmp_path, project(tmp_path))
    top = made.graph.node("top")
    assert [item.node.name for item in made.build([top])] == ["a", "b", "top"]
    assert (made.artifact(top) / "top").read_text() == "A\nB\n"
    assert made.build([top]) == []


def test_a_touched_recipe_rebuilds_it_and_what_stands_on_it(tmp_path: Path) -> None:
    root = project(tmp_path)
    first = builder(tmp_path, root)
    first.build([first.graph.node("top")])
    project(tmp_path, a="echo A2 >$OUT/a")
    again = builder(tmp_path, root)
    planned = again.plan([again.graph.node("top")])
    assert [(item.node.name, item.reasons) for item in planned] == [
        ("a", ["files images/x/a.sh: changed"]),
        ("top", ["nodes a: changed"]),
    ]
    again.build([again.graph.node("top")])
    assert (again.artifact(again.graph.node("top")) / "top").read_text() == "A2\nB\n"


def test_independent_nodes_run_at_the_same_time(tmp_path: Path) -> None:
    meet = (
        "touch {me}; for i in $(seq 500); do test -e {other} && break; sleep 0.01; done; test -e {other}; echo >$OUT/x"
    )
    a, b = tmp_path / "a-is-here", tmp_path / "b-is-here"
    root = project(tmp_path, a=meet.format(me=a, other=b), b=meet.format(me=b, other=a), top="echo >$OUT/x")
    made = builder(tmp_path, root)
    made.build([made.graph.node("top")])


def with_packages(tmp_path: Path, root: Path, packages: Remote) -> Builder:
    """A builder of the project whose node `a` needs the package set `stuff`."""
    text = NODE.replace("script: a.sh", "script: a.sh, packages: [stuff]")
    (root / "images/x/node.yaml").write_text(text)
    return Builder(Graph.load(root), Cache(tmp_path / "cache"), packages, Silent())


def test_what_needs_no_packages_is_built_while_others_are_fetched(tmp_path: Path) -> None:
    remote = Remote("stuff")
    root = project(tmp_path, b=f"touch {tmp_path}/b-is-here; echo B >$OUT/b")
    made = with_packages(tmp_path, root, remote)
    thread = threading.Thread(target=made.build, args=([made.graph.node("top")],))
    thread.start()
    wait_until((tmp_path / "b-is-here").exists, "a recipe during the download")
    assert not made.cache.has(made.keys.key(made.graph.node("a")))
    remote.go.set()
    thread.join(20)
    assert (made.artifact(made.graph.node("top")) / "top").read_text() == "A\nB\n"
    assert remote.fetched == [["stuff"]]


def test_a_substituted_package_changes_the_keys_of_what_stands_on_it(tmp_path: Path) -> None:
    remote = Remote("stuff")
    remote.substituted = {"stuff"}
    remote.go.set()
    made = with_packages(tmp_path, project(tmp_path), remote)
    nodes = {name: made.graph.node(name) for name in ("a", "b", "top")}
    before = {name: made.keys.key(node) for name, node in nodes.items()}
    built = made.build([nodes["top"]])
    after = {item.node.name: item.key for item in built}
    assert after == {name: made.keys.key(node) for name, node in nodes.items()}
    assert {name for name in after if after[name] != before[name]} == {"a", "top"}
    assert all(made.cache.has(key) for key in after.values())
    assert not made.cache.has(before["a"])


def test_a_failing_recipe_ends_the_download(tmp_path: Path) -> None:
    remote = Remote("stuff")
    made = with_packages(tmp_path, project(tmp_path, b="exit 3"), remote)
    with pytest.raises(BuildError, match="building b failed"):
        made.build([made.graph.node("top")])
    assert remote.cancelled.is_set()


def test_a_failing_download_ends_the_recipes(tmp_path: Path) -> None:
    remote = Remote("stuff")
    remote.cancelled.set()
    made = with_packages(tmp_path, project(tmp_path, b=f"sleep 60; touch {tmp_path}/late"), remote)
    with pytest.raises(EnvError, match="the download was cancelled"):
        made.build([made.graph.node("top")])
    assert not (tmp_path / "late").exists()


def test_failure_names_cause_and_keeps_the_log(tmp_path: Path) -> None:
    root = project(tmp_path, a="echo some output; echo 'x.c:1: error: no such thing' >&2; exit 3")
    made = builder(tmp_path, root)
    with pytest.raises(BuildError, match=r"building a failed: x\.c:1: error: no such thing") as caught:
        made.build([made.graph.node("top")])
    assert caught.value.hint is not None
    log = Path(caught.value.hint.removeprefix("log: "))
    assert "some output" in log.read_text()
    assert not any((tmp_path / "cache/tmp").iterdir())


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("x.c:1:2: error: bad\nmake[1]: *** [x.o] Error 1\nmake: *** [all] Error 2\n", "x.c:1:2: error: bad"),
        ("tar: a.tar: Cannot open: No such file\nmake: *** [all] Error 2\n", "tar: a.tar: Cannot open: No such file"),
        ("make: *** No rule to make target 'x'.  Stop.\n", "make: *** No rule to make target 'x'.  Stop."),
        ("", ""),
    ],
)
def test_cause_is_the_tools_own_line(output: str, cause: str) -> None:
    assert cause_in(output) == cause


def test_recipe_that_leaves_nothing_fails(tmp_path: Path) -> None:
    made = builder(tmp_path, project(tmp_path, a="true"))
    with pytest.raises(BuildError, match=r"left nothing in \$OUT"):
        made.build([made.graph.node("a")])


def test_full_disk_is_an_environment_error(tmp_path: Path) -> None:
    root = project(tmp_path, a="echo 'cc: write: No space left on device' >&2; exit 1")
    made = builder(tmp_path, root)
    with pytest.raises(EnvError, match="no space left while building a") as caught:
        made.build([made.graph.node("a")])
    assert caught.value.exit_code == 6


def test_too_little_space_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = builder(tmp_path, project(tmp_path, a=f"touch {tmp_path}/started; echo >$OUT/x"))
    monkeypatch.setattr(Cache, "free_mib", lambda _self: 2)
    with pytest.raises(EnvError, match="2 MiB free, 3 MiB are needed"):
        made.build([made.graph.node("top")])
    assert not (tmp_path / "started").exists()


def test_two_builders_build_once(tmp_path: Path) -> None:
    root = project(tmp_path, a=f"echo run >>{tmp_path}/runs; sleep 0.3; echo >$OUT/x")
    makers = [builder(tmp_path, root) for _ in range(2)]
    threads = [threading.Thread(target=made.build, args=([made.graph.node("a")],)) for made in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "runs").read_text() == "run\n"


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_builder import builder
tmp = Path({tmp!r})
made = builder(tmp, tmp / "project")
made.build([made.graph.node("top")])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("delay", [0.0, 0.15, 0.4])
def test_killed_at_any_moment_leaves_a_sound_cache(tmp_path: Path, how: signal.Signals, delay: float) -> None:
    pid_file = tmp_path / "pid"
    slow = f"(echo $BASHPID >{pid_file}; exec sleep 60) & echo partial >$OUT/a; wait"
    root = project(tmp_path, a=slow)
    code = CHILD.format(tests=str(Path(__file__).parent), tmp=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() != "", "the recipe to start")
    time.sleep(delay)
    child.send_signal(how)
    child.wait(20)
    grandchild = int(pid_file.read_text())
    wait_until(lambda: not Path(f"/proc/{grandchild}").exists(), "the recipe's children to end")

    project(tmp_path, a=f"test ! -e {tmp_path}/never; echo A >$OUT/a")
    made = builder(tmp_path, root)
    made.build([made.graph.node("top")])
    assert (made.artifact(made.graph.node("top")) / "top").read_text() == "A\nB\n"
    assert made.cache.all_keys()


def test_recipe_sees_a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O0")
    made = builder(tmp_path, project(tmp_path, a="env >$OUT/env"))
    made.build([made.graph.node("a")])
    seen = (made.artifact(made.graph.node("a")) / "env").read_text()
    assert "CFLAGS" not in seen
    assert "SOURCE_DATE_EPOCH=1767225600" in seen


def wait_until(condition: Any, what: str, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.01)


def test_environment_of_tests_is_loaded() -> None:
    assert os.path.basename(__file__) == "test_builder.py"  # noqa: PTH119 - CHILD imports this module by name


# --- wherever the checkout is, and whoever builds ---


ODD = ("plain", "a b", "50%", "c#", "it's $HOME", "no \udcff text", "comma,:colon")


@pytest.mark.parametrize("name", ODD)
def test_a_recipe_does_not_see_where_the_checkout_is(tmp_path: Path, name: str) -> None:
    """make, and what it starts, cannot cope with many names: a recipe has copies of what it declares."""
    root = project(tmp_path, a="make -s -C $SRC OUT=$OUT", b="cat $PROJECT/shared >$OUT/b")
    text = NODE.replace("script: a.sh", "script: a.sh, files: [Makefile, tool]").replace(
        "script: b.sh", "script: b.sh, files: ['//shared']"
    )
    (root / "images/x/node.yaml").write_text(text)
    (root / "images/x/Makefile").write_text("all: tool\n\t./tool >$(OUT)/a\n")
    (root / "images/x/tool").write_text("#!/bin/sh\necho A\n")
    (root / "images/x/tool").chmod(0o700)
    (root / "shared").write_text("B\n")
    (root / "shared").chmod(0o600)
    moved = tmp_path / name
    root.rename(moved)
    made = builder(tmp_path, moved)
    top = made.graph.node("top")
    made.build([top])
    assert (made.artifact(top) / "top").read_text() == "A\nB\n"
    assert not list((tmp_path / "cache").glob("*/project"))


def test_what_a_recipe_does_not_declare_is_not_there(tmp_path: Path) -> None:
    """It would not be built again when that changes."""
    root = project(tmp_path, a="cat $SRC/forgotten >$OUT/a")
    (root / "images/x/forgotten").touch()
    made = builder(tmp_path, root)
    with pytest.raises(BuildError, match=r"building a failed: .*forgotten: No such file"):
        made.build([made.graph.node("top")])


def test_a_file_that_is_a_parameter_is_there_under_any_name(tmp_path: Path) -> None:
    root = project(tmp_path, a="cp $PARAM_own_file $OUT/a")
    text = NODE.replace("script: a.sh", "script: a.sh, params: {own_file: ''}")
    (root / "images/x/node.yaml").write_text(text)
    (tmp_path / "a b#").write_text("mine\n")
    made = builder(tmp_path, root)
    node = made.graph.node("a", {"a": {"own_file": f"{tmp_path}/a b#"}})
    made.build([node])
    assert (made.artifact(node) / "a").read_text() == "mine\n"


def test_an_artifact_has_the_same_permissions_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = builder(tmp_path, project(tmp_path, a="mkdir $OUT/d; echo >$OUT/a; echo >$OUT/x; chmod +x $OUT/x"))
        node = made.graph.node("a")
        made.build([node])
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.artifact(node).iterdir()}
    assert modes == {"a": 0o644, "d": 0o755, "x": 0o755}


@pytest.mark.parametrize("name", ["a b", "c#", "50%", "x:y", "zażółć"])
def test_a_cache_that_make_cannot_work_in_is_refused(tmp_path: Path, name: str) -> None:
    made = Builder(Graph.load(project(tmp_path)), Cache(tmp_path / name), NoPackages(), Silent())
    with pytest.raises(EnvError, match="cannot work in a folder of this name") as caught:
        made.build([made.graph.node("top")])
    assert "XDG_CACHE_HOME" in str(caught.value.hint)
    assert not (tmp_path / name).exists()
