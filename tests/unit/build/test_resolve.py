# SPDX-License-Identifier: Apache-2.0
"""Requests resolved by apt in a signed archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.build.resolve import Resolver
from orchestrator.errors import BuildError, EnvError, UsageError
from orchestrator.schema.packages import PackageSpec

if TYPE_CHECKING:
    from conftest import Archive, ArchiveMaker


@dataclass
class Shared:
    """An archive that tests only read, and the resolver that has its indexes."""

    resolver: Resolver

    def resolve(self, **fields: Any) -> list[str]:
        """Package=version of each file that a request leads to."""
        spec = PackageSpec(**{"kind": "closure", "suite": "trixie", **fields})
        return [f"{file.package}={file.version}" for file in self.resolver.resolve("it", spec).files]


@pytest.fixture(scope="module")
def shared(make_archive: ArchiveMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    root = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        archive = make_archive(root, patch)
        fill_tool(archive)
        archive.add("astray", "1", "nowhere")
        archive.add("mixed", "1", "data", arch="arm64")
        archive.add("data", "1", arch="all")
        for version in ("1:10.0.2-1", "1:10.0.9-1", "1:11.0.1-1"):
            archive.add("emulator", version, f"libc6, parts (= {version})", source="emulator-src")
            archive.add("parts", version, source="emulator-src")
        for name, version in (("6.9", "6.9.1-1"), ("6.12", "6.12.3-1"), ("7.3", "7.3.4-1~bpo13+1"), ("docs", "9")):
            archive.add(f"linux-source-{name}", version, arch="all")
        for version in ("1:10.0.2", "1:10.0.13", "1:11.0.0"):
            archive.add_source("qemu", version)
        archive.publish()
        yield Shared(Resolver(root / "cache", lambda _text: None))


def fill_tool(archive: Archive) -> None:
    archive.add("libc6", "2.41-12")
    archive.add("libnew", "1.0-1", "libc6 (>= 2.40), libdeep")
    archive.add("libdeep", "3")
    archive.add("tool", "1:10.0.2-1", "libc6, helper (= 1:10.0.2-1), libnew", source="tool-src")
    archive.add("helper", "1:10.0.2-1", "libdeep", source="tool-src")


def test_closure_holds_all_dependencies_and_nothing_else(shared: Shared) -> None:
    found = shared.resolve(packages=["tool"])
    assert found == ["helper=1:10.0.2-1", "libc6=2.41-12", "libdeep=3", "libnew=1.0-1", "tool=1:10.0.2-1"]


def test_excluded_package_and_what_only_it_needs_are_left_out(shared: Shared) -> None:
    assert shared.resolve(packages=["tool"], exclude=["helper", "libnew"]) == ["libc6=2.41-12", "tool=1:10.0.2-1"]


def test_misspelt_exclude(shared: Shared) -> None:
    with pytest.raises(UsageError, match=r"packages\.it\.exclude: trixie has no package 'helpr'"):
        shared.resolve(packages=["tool"], exclude=["helpr"])


def test_closure_stays_in_its_series(shared: Shared) -> None:
    found = shared.resolve(packages=["emulator"], series={"package": "emulator", "prefix": "10.0."})
    assert found == ["emulator=1:10.0.9-1", "libc6=2.41-12", "parts=1:10.0.9-1"]


def test_nothing_of_the_series(shared: Shared) -> None:
    with pytest.raises(BuildError, match=r"no acceptable tool \(series 9\.2\.\*\); versions there: 1:10\.0\.2-1"):
        shared.resolve(packages=["tool"], series={"prefix": "9.2."})


def test_missing_dependency(shared: Shared) -> None:
    with pytest.raises(BuildError, match="apt cannot satisfy astray=1"):
        shared.resolve(packages=["astray"])


def test_other_architecture(shared: Shared) -> None:
    assert shared.resolve(packages=["mixed"], architecture="arm64") == ["data=1", "mixed=1"]
    with pytest.raises(BuildError, match="no acceptable mixed"):
        shared.resolve(packages=["mixed"], architecture="amd64")


def test_pattern_takes_the_newest_match(shared: Shared) -> None:
    asked = {"kind": "packages", "packages": ["linux-source-[0-9]*"]}
    assert shared.resolve(**asked, minimum="6.13") == ["linux-source-7.3=7.3.4-1~bpo13+1"]
    with pytest.raises(BuildError, match="at least 8"):
        shared.resolve(**asked, minimum="8")


def test_source_files(shared: Shared) -> None:
    asked: dict[str, Any] = {"kind": "source", "package": "qemu", "series": {"prefix": "10.0."}}
    assert shared.resolve(**asked, files=["*.orig.tar.xz"]) == ["qemu=1:10.0.13"]
    with pytest.raises(BuildError, match=r"has no file like \*\.zip"):
        shared.resolve(**asked, files=["*.zip"])


def resolve_tool(tmp_path: Path) -> list[str]:
    return Shared(Resolver(tmp_path / "cache", lambda _text: None)).resolve(packages=["tool"])


def test_archive_signed_by_someone_else(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.gpg"
    other.write_bytes(type(archive.signer)().public())
    monkeypatch.setenv("ORCH_KEYRING", str(other))
    fill_tool(archive)
    archive.publish()
    with pytest.raises(EnvError, match="signature does not verify"):
        resolve_tool(tmp_path)


def test_index_changed_after_signing(archive: Archive, tmp_path: Path) -> None:
    fill_tool(archive)
    archive.publish()
    for path in (archive.root / "dists/trixie/main/binary-amd64").iterdir():
        path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(EnvError, match="package index cannot be fetched"):
        resolve_tool(tmp_path)


def test_hooks_and_default_release_of_the_system_do_not_reach_us(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "apt.conf"
    configuration.write_text(
        f'APT::Update::Pre-Invoke {{ "touch {tmp_path}/hook"; }};\nAPT::Default-Release "elsewhere";\n'
        'Acquire::AllowInsecureRepositories "true";\nAPT::Architectures { "amd64"; "riscv64"; };\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    fill_tool(archive)
    archive.publish()
    assert "tool=1:10.0.2-1" in resolve_tool(tmp_path)
    assert not (tmp_path / "hook").exists()
