# SPDX-License-Identifier: Apache-2.0
"""The package store: verified folders, offline use, damaged files, dropped pins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.build import lockfile, pypi
from orchestrator.build.apt import sha256_of
from orchestrator.build.packages import PackageStore
from orchestrator.errors import BuildError, EnvError, UsageError
from orchestrator.schema.lock import LockedPypi

if TYPE_CHECKING:
    from conftest import Archive, ArchiveMaker

REQUESTS = """\
packages:
  qemu:
    {kind: closure, suite: trixie, packages: [qemu-arm], series: {package: qemu-arm, prefix: "10.0."}}
  headers: {kind: packages, suite: trixie, packages: [headers]}
"""


class Bench:
    """A project with a lock, its cache, and what the store told."""

    def __init__(self, archive: Archive, root: Path) -> None:
        self.archive = archive
        self.project = root / "project"
        self.cache = root / "cache"
        self.told: list[str] = []
        (self.project / "images").mkdir(parents=True)
        (self.project / "images/packages.yaml").write_text(REQUESTS)

    def store(self, *, frozen: bool = False) -> PackageStore:
        return PackageStore(self.project, self.cache, frozen=frozen, notify=self.told.append)

    def lose_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCH_MIRROR", f"file:{self.project}/unmounted/")

    def release(self, version: str) -> None:
        """The mirror replaces qemu by another version."""
        self.archive.drop("qemu-arm")
        self.archive.add("qemu-arm", version, "libc6")
        self.archive.publish()


def fill(archive: Archive) -> None:
    archive.add("qemu-arm", "1:10.0.2", "libc6")
    archive.add("libc6", "2.41")
    archive.add("headers", "1")
    archive.publish()


@pytest.fixture(scope="module")
def lock_text(make_archive: ArchiveMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The lock of the requests above; what it names is the same in each test's own archive."""
    root = tmp_path_factory.mktemp("locked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pypi, "compile_lock", lambda *_: LockedPypi(request="", python=[], packages=[]))
        bench = Bench(make_archive(root, patch), root)
        fill(bench.archive)
        lockfile.update(bench.project, bench.cache)
        yield (bench.project / "orch.lock.json").read_text()


@pytest.fixture
def bench(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_text: str) -> Bench:
    monkeypatch.setattr(pypi, "compile_lock", lambda *_: LockedPypi(request="", python=[], packages=[]))
    fill(archive)
    made = Bench(archive, tmp_path)
    (made.project / "orch.lock.json").write_text(lock_text)
    return made


def test_fetch_then_offline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bench.store()
    assert store.names() == ["headers", "qemu"]
    assert store.download_bytes("qemu") == sum(p.stat().st_size for p in bench.archive.root.glob("pool/main/[ql]/*/*"))
    store.prepare(["qemu"])
    assert store.download_bytes("qemu") == 0
    bench.lose_network(monkeypatch)
    for each in (store, bench.store(frozen=True)):
        each.prepare(["qemu"])
        folder = each.fetch("qemu")
        assert sorted(p.name for p in folder.iterdir()) == ["libc6_2.41_amd64.deb", "qemu-arm_10.0.2_amd64.deb"]
    with pytest.raises(EnvError, match="is not there") as caught:
        store.prepare(["qemu", "headers"])
    assert caught.value.exit_code == 6


def test_manifest_is_the_pin(bench: Bench) -> None:
    manifest = bench.store().manifest("headers")
    digest = sha256_of(bench.archive.root / "pool/main/h/headers/headers_1_amd64.deb")
    expected = {"package": "headers", "version": "1", "architecture": "amd64", "sha256": digest}
    assert manifest == {"files": {"headers_1_amd64.deb": expected}}


def test_damaged_file_is_fetched_again_and_strays_are_removed(bench: Bench) -> None:
    folder = bench.store().fetch("headers")
    file = folder / "headers_1_amd64.deb"
    good = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(b"X" * len(good))  # the cached download too: it is the same file by another name
    (folder / "stray").write_text("")
    store = bench.store()
    store.prepare(["headers"])
    assert store.fetch("headers") == folder
    assert file.read_bytes() == good
    assert [p.name for p in folder.iterdir()] == [file.name]
    assert any("is damaged, fetching it again" in line for line in bench.told)


def test_truncated_file_is_fetched_again(bench: Bench) -> None:
    file = bench.store().fetch("headers") / "headers_1_amd64.deb"
    file.chmod(0o600)
    file.write_bytes(b"")
    store = bench.store()
    assert store.download_bytes("headers") > 0
    assert (store.fetch("headers") / file.name).stat().st_size > 0


def test_corrupt_download_is_refused(bench: Bench) -> None:
    path = bench.archive.root / "pool/main/h/headers/headers_1_amd64.deb"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(BuildError, match=r"corrupt download: pool/main/h/headers/headers_1_amd64\.deb: expected"):
        bench.store().prepare(["headers"])
    assert not list((bench.cache / "downloads").glob("*/*/*"))


def test_dropped_pin_is_substituted_within_its_series(bench: Bench) -> None:
    before = bench.store().manifest("qemu")
    bench.release("1:10.0.7")
    bench.archive.add("qemu-arm", "1:11.0.0", "libc6")
    bench.archive.publish()
    store = bench.store()
    store.prepare(["qemu", "headers"])
    assert store.manifest("qemu") != before
    assert "qemu-arm_10.0.7_amd64.deb" in {p.name for p in store.fetch("qemu").iterdir()}
    [substitution] = store.substitutions()
    assert (substitution.pinned, substitution.used, substitution.accepted) == ("1:10.0.2", "1:10.0.7", False)
    assert substitution.changes == ("qemu-arm 1:10.0.2 -> 1:10.0.7",)
    assert substitution.dropped == ("pool/main/q/qemu-arm/qemu-arm_10.0.2_amd64.deb",)
    assert any("SUBSTITUTED from trixie: qemu-arm 1:10.0.2 -> 1:10.0.7 (" in line for line in bench.told)
    assert bench.store().manifest("qemu") == store.manifest("qemu")
    store.accept_substitutions()
    store.reject_substitutions()
    assert [s.accepted for s in bench.store().substitutions()] == [True]
    assert bench.store(frozen=True).manifest("qemu") == before


def test_rejected_substitution_is_forgotten(bench: Bench) -> None:
    before = bench.store().manifest("qemu")
    bench.release("1:10.0.7")
    store = bench.store()
    store.prepare(["qemu"])
    store.reject_substitutions()
    assert store.substitutions() == []
    assert bench.store().manifest("qemu") == before


def test_dropped_pin_and_frozen(bench: Bench) -> None:
    bench.release("1:10.0.7")
    with pytest.raises(BuildError, match=r"mirror dropped qemu-arm=1:10\.0\.2") as caught:
        bench.store(frozen=True).prepare(["qemu"])
    assert "orch lock --update" in str(caught.value.hint)
    assert caught.value.exit_code == 3


def test_dropped_pin_with_nothing_acceptable(bench: Bench) -> None:
    bench.release("1:11.0.0")
    with pytest.raises(BuildError, match=r"no acceptable qemu-arm \(series 10\.0\.\*\)"):
        bench.store().prepare(["qemu"])


def test_request_edited_after_locking(bench: Bench) -> None:
    (bench.project / "images/packages.yaml").write_text(REQUESTS.replace("10.0.", "10.1."))
    store = bench.store()
    with pytest.raises(BuildError, match="'qemu' was changed in") as caught:
        store.manifest("qemu")
    assert caught.value.hint == "run `orch lock --update qemu`"
    with pytest.raises(UsageError, match="no package set 'qemuu'"):
        store.manifest("qemuu")


def test_a_record_of_an_earlier_orch_counts(bench: Bench) -> None:
    """It called package sets inputs."""
    bench.release("1:10.0.3")
    store = bench.store()
    store.prepare(["qemu"])
    store.accept_substitutions()
    [record] = (bench.cache / "substitutions").glob("*.json")
    text = record.read_text()
    assert text.count('"packages": {') == 1
    record.write_text(text.replace('"packages": {', '"inputs": {'))
    assert [each.accepted for each in bench.store().substitutions()] == [True]


def test_unreadable_record_is_ignored(bench: Bench) -> None:
    bench.release("1:10.0.7")
    bench.store().prepare(["qemu"])
    [record] = (bench.cache / "substitutions").glob("*.json")
    record.write_text("{")
    assert bench.store().substitutions() == []
    assert any("is not readable, ignored" in line for line in bench.told)


def test_several_at_once(bench: Bench) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(bench.store().fetch("qemu"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert sum("downloading" in line for line in bench.told) == 1
    assert not (bench.cache / "downloads/partial").exists()


def test_no_space(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1 << 20})())
    with pytest.raises(EnvError, match="not enough space to download"):
        bench.store().prepare(["qemu"])


def test_update_says_what_changed(bench: Bench) -> None:
    bench.release("1:10.0.7")
    bench.archive.add("libnew", "1")
    text = (bench.project / "orch.lock.json").read_text()
    assert lockfile.update(bench.project, bench.cache, ["headers"]).changes == []
    assert (bench.project / "orch.lock.json").read_text() == text
    assert lockfile.update(bench.project, bench.cache).changes == ["qemu:", "  qemu-arm 1:10.0.2 -> 1:10.0.7"]
    bench.store(frozen=True).prepare(["qemu"])
    (bench.project / "orch.lock.json").write_text("<<<<<<< HEAD\n")
    with pytest.raises(UsageError, match="Invalid JSON"):
        lockfile.update(bench.project, bench.cache, ["headers"])
    assert "headers (new):" in lockfile.update(bench.project, bench.cache).changes
    with pytest.raises(UsageError, match="no package set 'heders'"):
        lockfile.update(bench.project, bench.cache, ["heders"])
