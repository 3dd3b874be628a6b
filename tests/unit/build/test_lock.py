# SPDX-License-Identifier: Apache-2.0
"""The lock file: layout, reading, differences; the project's own lock; pins of Python packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.build import lockdiff, pypi
from orchestrator.errors import BuildError, UsageError
from orchestrator.schema import lock as lockschema
from orchestrator.schema import yamlfile
from orchestrator.schema.lock import Lock
from orchestrator.schema.packages import PackagesFile

PROJECT = Path(__file__).parents[3]


def make(**versions: str) -> Lock:
    """A lock with one package set 'qemu' of these packages, and one Python package."""
    files = [
        {
            "package": name,
            "version": version,
            "architecture": "amd64",
            "path": f"pool/{name}_{version}.deb",
            "size": 1,
            "sha256": "0" * 64,
        }
        for name, version in versions.items()
    ]
    pin = {"request": "r", "suite": "trixie", "version": "1", "files": files}
    package = {"name": "click", "version": "8.5.1", "sha256": ["1" * 64]}
    return Lock.model_validate(
        {"packages": {"qemu": pin}, "pypi": {"request": "r", "python": ["3.11"], "packages": [package]}}
    )


def test_one_changed_file_is_one_changed_line(tmp_path: Path) -> None:
    old, new = lockschema.dumps(make(a="1", b="1")), lockschema.dumps(make(a="1", b="2"))
    differing = [pair for pair in zip(old.splitlines(), new.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1
    path = tmp_path / "orch.lock.json"
    path.write_text(old)
    assert lockschema.load(path) == make(a="1", b="1")
    assert lockschema.dumps(lockschema.load(path)) == old


def test_difference() -> None:
    changes = lockdiff.difference(make(a="1", b="1", c="1"), make(a="1", b="2", d="1"))
    assert changes == ["qemu:", "  b 1 -> 2", "  - c 1", "  + d 1"]
    assert lockdiff.difference(None, make(a="1")) == ["pypi (new):", "  + click 8.5.1", "qemu (new):", "  + a 1"]
    assert lockdiff.difference(make(a="1"), make(a="1")) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "Invalid JSON"),
        ("{}", "packages: Field required"),
        (lockschema.dumps(make(a="1")).replace('"schema_version": 1', '"schema_version": 2'), "schema_version"),
        (lockschema.dumps(make(a="1")).replace("pool/a", "pool/../../a"), "files.0.path"),
        (lockschema.dumps(make(a="1")).replace("pool/a", "/a"), "files.0.path"),
        (lockschema.dumps(make(a="1")).replace("0000", "zzzz"), "files.0.sha256"),
    ],
)
def test_bad_lock_is_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "orch.lock.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        lockschema.load(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_missing_lock(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        lockschema.load(tmp_path / "orch.lock.json")


def test_own_lock_fits_own_requests() -> None:
    lock = lockschema.load(PROJECT / "orch.lock.json")
    requests = yamlfile.load(PROJECT / "images/packages.yaml", PackagesFile).packages
    assert {name: pin.request for name, pin in lock.packages.items()} == {n: s.digest() for n, s in requests.items()}
    assert lockschema.dumps(lock) == (PROJECT / "orch.lock.json").read_text()
    assert not re.search(r"https?:", lockschema.dumps(lock))
    for pin in lock.packages.values():
        assert len({file.name for file in pin.files}) == len(pin.files)


@pytest.mark.parametrize(
    ("request_text", "problem"),
    [
        ("{kind: closure, suite: trixie}", "kind 'closure' needs 'packages'"),
        ("{kind: source, suite: trixie, package: aa}", "kind 'source' needs 'files'"),
        (
            "{kind: packages, suite: trixie, packages: [aa], exclude: [bb]}",
            "'exclude' has no meaning for kind 'packages'",
        ),
        ("{kind: closure, suite: trixie, packages: [aa], excludes: [bb]}", "packages.it.excludes: unknown key"),
        ("{kind: closure, suite: trixie, packages: [aa, bb], series: {prefix: '1.'}}", "must name one of 'packages'"),
    ],
)
def test_bad_request(request_text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        yamlfile.loads(f"packages:\n  it: {request_text}\n", "packages.yaml", PackagesFile)


def test_compiled_requirements_are_read() -> None:
    text = "# comment\nPyYAML==6.0.3\nqemu-qmp==0.0.6 ; python_version > '3'\n    # via x\n"
    assert pypi.parse_pins(text) == [("pyyaml", "6.0.3"), ("qemu-qmp", "0.0.6")]


def test_only_usable_wheels_are_kept() -> None:
    files = {
        "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": "1",
        "a-1-cp312-cp312-manylinux_2_28_x86_64.whl": "2",
        "a-1-cp313-cp313-manylinux_2_28_x86_64.whl": "3",
        "a-1-cp313-cp313t-manylinux_2_28_x86_64.whl": "free-threaded",
        "a-1-cp39-abi3-manylinux_2_34_x86_64.whl": "4",
        "a-1-cp312-cp312-musllinux_1_2_x86_64.whl": "musl",
        "a-1-cp312-cp312-manylinux_2_28_aarch64.whl": "arm",
        "a-1-cp312-cp312-manylinux_2_99_x86_64.whl": "too new",
        "a-1.tar.gz": "source",
        "odd.whl": "odd",
    }
    assert pypi.usable("a", "1", files) == ["1", "2", "3", "4"]
    with pytest.raises(BuildError, match=r"a 1 has no wheel for CPython 3\.12"):
        pypi.usable("a", "1", {name: d for name, d in files.items() if d in "13"})
