# SPDX-License-Identifier: Apache-2.0
"""Single wheels as package sets, found by the real pip in a folder that stands for an index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from orchestrator.build import lockfile, pypi, wheels
from orchestrator.build.packages import PackageStore
from orchestrator.build.resolve import Resolver
from orchestrator.errors import BuildError, EnvError, UsageError
from orchestrator.schema import yamlfile
from orchestrator.schema.lock import LockedPypi
from orchestrator.schema.packages import PackagesFile, PackageSpec

ARM = "manylinux_2_17_aarch64"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with wheels of two versions for several machines, and the only index that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(pypi, "compile_lock", lambda *_: LockedPypi(request="", python=[], packages=[]))
    for tag in (f"cp311-cp311-{ARM}.manylinux2014_aarch64", "cp311-cp311-manylinux_2_17_x86_64"):
        add(folder, "1.4.0", tag)
    add(folder, "1.5.0", f"cp311-cp311-{ARM}")
    add(folder, "0.2.0", "py2.py3-none-any")
    return folder


def add(folder: Path, version: str, tag: str, requires: str = "") -> Path:
    """Put a wheel of the package lite-rt there; it needs a package that no index has, and a Python long gone."""
    path = folder / f"lite_rt-{version}-{tag}.whl"
    info = f"lite_rt-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        text = f"Metadata-Version: 2.1\nName: lite-rt\nVersion: {version}\nRequires-Dist: nowhere\n{requires}"
        archive.writestr(f"{info}/METADATA", f"{text}Requires-Python: >=3.8\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("payload", tag)
    return path


def asked(version: str = "1.4.0", python: str = "cp311", abi: str = "cp311", platform: str = ARM) -> str:
    wanted = f'version: "{version}", python: {python}, abi: {abi}, platform: [{platform}]'
    return f"packages:\n  it: {{kind: wheel, package: lite-rt, {wanted}}}\n"


def spec(text: str) -> PackageSpec:
    return yamlfile.loads(text, "packages.yaml", PackagesFile).packages["it"]


def project(root: Path, text: str) -> Path:
    (root / "project/images").mkdir(parents=True)
    (root / "project/images/packages.yaml").write_text(text)
    return root / "project"


@pytest.mark.parametrize(
    ("request_text", "file"),
    [
        (asked(platform="manylinux_2_28_riscv64, manylinux2014_aarch64"), f"cp311-{ARM}.manylinux2014_aarch64.whl"),
        (asked(platform="manylinux_2_17_x86_64"), "lite_rt-1.4.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
        (asked("0.2.0", "py3", "none", "any"), "lite_rt-0.2.0-py2.py3-none-any.whl"),
    ],
)
def test_a_request_leads_to_one_pinned_file_that_is_fetched_once(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_text: str, file: str
) -> None:
    root = project(tmp_path, request_text)
    assert lockfile.update(root, tmp_path / "cache", ["it"] if (root / "orch.lock.json").exists() else []).changes
    store = PackageStore(root, tmp_path / "cache", frozen=True)
    [(name, manifest)] = dict(store.manifest("it")["files"]).items()  # type: ignore[call-overload]
    assert name.endswith(file)
    content = (index / name).read_bytes()
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert store.download_bytes("it") == len(content)
    store.prepare(["it"])
    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")
    folder = store.fetch("it")
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == content
    assert not (tmp_path / "cache/downloads/partial").exists()


def test_no_such_wheel(index: Path, tmp_path: Path) -> None:
    resolver = Resolver(tmp_path / "cache", lambda _text: None)
    for text in (asked("9"), asked(python="cp312", abi="cp312")):
        with pytest.raises(BuildError, match="package set 'it': the package index has no wheel lite-rt") as caught:
            resolver.resolve("it", spec(text))
        assert caught.value.exit_code == 3


def test_index_that_cannot_be_reached(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(EnvError, match=r"index cannot be reached for lite-rt 1\.4\.0"):
        Resolver(tmp_path / "cache", lambda _text: None).resolve("it", spec(asked()))


def test_a_changed_file_is_refused_and_a_dropped_one_told(index: Path, tmp_path: Path) -> None:
    root = project(tmp_path, asked("1.5.0"))
    lockfile.update(root, tmp_path / "cache")
    path = add(index, "1.5.0", f"cp311-cp311-{ARM}", requires="Summary: another\n")
    with pytest.raises(BuildError, match=r"corrupt download: lite-rt 1\.5\.0: expected SHA-256"):
        PackageStore(root, tmp_path / "cache").prepare(["it"])
    path.unlink()
    with pytest.raises(BuildError, match=r"mirror dropped lite-rt=1\.5\.0"):
        PackageStore(root, tmp_path / "cache", frozen=True).prepare(["it"])
    with pytest.raises(BuildError, match=r"has no wheel lite-rt 1\.5\.0"):
        PackageStore(root, tmp_path / "cache").prepare(["it"])
    assert not list((tmp_path / "cache/downloads").glob("*/*/*"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (asked().replace(", abi: cp311", ""), "kind 'wheel' needs 'abi'"),
        (asked(platform=""), "kind 'wheel' needs 'platform'"),
        (asked().replace("wheel,", "wheel, suite: trixie,"), "'suite' has no meaning for kind 'wheel'"),
        (asked().replace("kind: wheel", "kind: source, suite: trixie, files: [a]"), "'abi' has no meaning"),
        (asked(platform="linux-arm"), "platform"),
    ],
)
def test_bad_request(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        spec(text)


def test_tags_of_a_file_name() -> None:
    assert wheels.tags("a_b-1.0-3-cp39-abi3-linux_x86_64.whl") == ("cp39", "abi3", "linux_x86_64")
    with pytest.raises(BuildError, match="not the file name of a wheel"):
        wheels.tags("a-1-any.whl")
