# SPDX-License-Identifier: Apache-2.0
"""Wheels with all that they depend on as one package set, found by the real pip in a folder in place of an index."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from orchestrator.build import lockfile, pypi
from orchestrator.build.packages import PackageStore
from orchestrator.build.resolve import Resolver
from orchestrator.errors import BuildError, UsageError
from orchestrator.schema import yamlfile
from orchestrator.schema.lock import LockedPypi
from orchestrator.schema.packages import PackagesFile, PackageSpec

LINUX = "manylinux_2_28_x86_64"
NATIVE = f"cp313-cp313-{LINUX}"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """net needs tensor-lib and big-thing; tensor-lib has wheels for two Pythons."""
    folder = tmp_path / "index"
    folder.mkdir()
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(pypi, "compile_lock", lambda *_: LockedPypi(request="", python=[], packages=[]))
    add(folder, "net", "1.0", "py3-none-any", "tensor-lib>=2", "Big.Thing")
    for version in ("1.9", "2.0"):
        add(folder, "tensor_lib", version, NATIVE)
    add(folder, "tensor_lib", "2.0", f"cp310-cp310-{LINUX}")
    add(folder, "big_thing", "3.0", f"cp310-abi3-{LINUX}")
    return folder


def add(folder: Path, name: str, version: str, tag: str, *needs: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        info = f"{name}-{version}.dist-info"
        lines = [f"Requires-Dist: {need}\n" for need in needs]
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{''.join(lines)}"
        )
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


def text(requirements: str = "net==1.0", **keys: str) -> str:
    wanted = {"kind": "wheels", "requirements": f"[{requirements}]", "python": "cp313", "platform": f"[{LINUX}]"}
    return f"packages:\n  it: {{{', '.join(f'{key}: {value}' for key, value in {**wanted, **keys}.items())}}}\n"


def spec(content: str) -> PackageSpec:
    return yamlfile.loads(content, "packages.yaml", PackagesFile).packages["it"]


def files(folder: Path, content: str) -> list[str]:
    return [file.path for file in Resolver(folder / "cache", lambda _text: None).resolve("it", spec(content)).files]


def test_a_closure_is_for_the_python_that_is_asked_for(tmp_path: Path) -> None:
    assert files(tmp_path, text()) == [
        f"big_thing-3.0-cp310-abi3-{LINUX}.whl",
        "net-1.0-py3-none-any.whl",
        f"tensor_lib-2.0-{NATIVE}.whl",
    ]


def test_packages_that_are_not_wanted(tmp_path: Path) -> None:
    assert len(files(tmp_path, text(exclude="[big.thing]"))) == 2
    with pytest.raises(UsageError, match=r"packages\.it\.exclude: nothing there needs 'bigthing'"):
        files(tmp_path, text(exclude="[bigthing]"))


def test_a_closure_with_a_gap(tmp_path: Path, index: Path) -> None:
    (index / f"big_thing-3.0-cp310-abi3-{LINUX}.whl").unlink()
    with pytest.raises(BuildError, match=r"package set 'it': the package index lacks a wheel for cp313: .*Big\.Thing"):
        files(tmp_path, text())


def test_pinned_closures_are_fetched_file_by_file(tmp_path: Path, index: Path) -> None:
    root = tmp_path / "project"
    (root / "images").mkdir(parents=True)
    (root / "images/packages.yaml").write_text(text())
    lockfile.update(root, tmp_path / "cache", [])
    add(index, "tensor_lib", "2.1", NATIVE)  # newer, and not pinned
    store = PackageStore(root, tmp_path / "cache", frozen=True)
    store.prepare(["it"])
    names = sorted(path.name for path in store.fetch("it").iterdir())
    assert names == [
        f"big_thing-3.0-cp310-abi3-{LINUX}.whl",
        "net-1.0-py3-none-any.whl",
        f"tensor_lib-2.0-{NATIVE}.whl",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (text("net>=1.0"), "requirements"),
        (text(""), "kind 'wheels' needs 'requirements'"),
        (text(abi="cp313"), "'abi' has no meaning for kind 'wheels'"),
        (text(suite="trixie"), "'suite' has no meaning for kind 'wheels'"),
    ],
)
def test_bad_request(content: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        spec(content)
