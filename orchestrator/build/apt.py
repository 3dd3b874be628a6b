# SPDX-License-Identifier: Apache-2.0
"""Apt on our behalf: a private state folder to resolve packages in, and its downloader for single files.

The system's configuration stays in force (proxies, credentials, time-outs); the state, the sources and the
architectures are ours, so nothing of the system is read or changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from orchestrator.build.cache import make_folder, remove_tree
from orchestrator.build.mirror import KEYRING_VARIABLE, MIRROR_VARIABLE
from orchestrator.build.run import CommandError, Completed, run
from orchestrator.errors import BuildError, EnvError

Stanza = dict[str, str]
INDEX_TIMEOUT = 900.0
QUERY_TIMEOUT = 120.0
DOWNLOAD_TIMEOUT = 3600.0
_HELPER = Path("/usr/lib/apt/apt-helper")
_FAILED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
_GONE = re.compile(r"^404\b|^410\b|No such file or directory")
_STAND_IN = """\
Package: orch-left-out
Status: install ok installed
Maintainer: none
Architecture: all
Multi-Arch: foreign
Version: 1
Description: what a request excludes
"""
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")

# The system's files are included first, so that ours win; hooks of `apt-get update` (package kits, image clean-ups)
# would work on the system and must not run. A default release of the system means nothing to our suites.
_CONFIGURATION = """\
{includes}#clear APT::Update;
#clear APT::Architectures;
#clear APT::Default-Release;
#clear Acquire::Languages;
#clear Acquire::IndexTargets::deb::Contents-deb;
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::State "{state}";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::State::extended_states "{state}/extended_states";
Dir::Cache "{state}/cache";
Dir::Cache::archives "{state}/cache/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "{state}/orch.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "{state}/preferences";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
"""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def environment(configuration: Path | None = None) -> dict[str, str]:
    """The environment for apt: untranslated messages, and our configuration where one is given."""
    changed = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    if configuration:
        changed["APT_CONFIG"] = str(configuration)
    return {**os.environ, **changed}


def stanzas(text: str) -> list[Stanza]:
    """Split control data into stanzas; a continuation line is kept behind a newline."""
    found: list[Stanza] = []
    for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        fields: Stanza = {}
        key = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] = f"{fields.get(key, '')}\n{line.strip()}"
            elif ":" in line:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        if fields:
            found.append(fields)
    return found


@dataclass(frozen=True)
class Source:
    """One suite of a mirror: its packages for an architecture, or its source packages."""

    mirror: str
    suite: str
    architecture: str
    keyring: Path
    sources: bool = False

    @property
    def label(self) -> str:
        """A name for folders and messages."""
        return f"{self.suite}-{'source' if self.sources else self.architecture}"

    def text(self) -> str:
        """The deb822 entry for apt; only the plain index is fetched."""
        fields = {
            "Types": "deb-src" if self.sources else "deb",
            "URIs": self.mirror,
            "Suites": self.suite,
            "Components": "main",
            "Architectures": self.architecture,
            "Signed-By": str(self.keyring),
            "Targets": "Sources" if self.sources else "Packages",
            "PDiffs": "no",
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items())


class AptState:
    """A private apt with one source and, as far as it can tell, nothing installed but what `pretend` is given."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.source = source
        self._configuration = folder / "apt.conf"

    def create(self) -> None:
        """Write the configuration; downloaded indexes of an earlier use stay and are only refreshed."""
        for name in ("lists/partial", "cache/archives/partial"):
            make_folder(self.folder / name)
        (self.folder / "orch.sources").write_text(self.source.text(), encoding="utf-8")
        (self.folder / "preferences").write_text("", encoding="utf-8")
        self.pretend(())
        text = _CONFIGURATION.format(
            includes=_system_configuration(), state=self.folder, architecture=self.source.architecture
        )
        self._configuration.write_text(text, encoding="utf-8")
        self._configuration.chmod(0o600)

    def pretend(self, entries: Iterable[Stanza]) -> None:
        """Act as if the packages of these index entries were installed, without what they depend on.

        One stand-in provides them all: a package of the same name and version would be replaced by the real one.
        """
        provided = []
        for entry in entries:
            provided.append(f"{entry['Package']} (= {entry['Version']})")
            provided += [part.strip() for part in entry.get("Provides", "").split(",") if part.strip()]
        text = f"{_STAND_IN}Provides: {', '.join(provided)}\n" if provided else ""
        (self.folder / "status").write_text(text, encoding="utf-8")

    def prefer(self, pins: Mapping[str, str]) -> None:
        """Fix packages (or 'src:NAME') to versions against newer ones in the suite."""
        entries = [f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n" for name, version in pins.items()]
        (self.folder / "preferences").write_text("\n".join(entries), encoding="utf-8")

    def update(self) -> None:
        """Fetch the suite's index and check its signature; raises EnvError."""
        try:
            self.run("apt-get", "update", timeout=INDEX_TIMEOUT)
        except CommandError as error:
            raise _update_failure(error, self.source) from None

    def run(self, *argv: str, timeout: float = QUERY_TIMEOUT) -> Completed:
        """Run an apt program on this state; raises CommandError."""
        return run(argv, env=environment(self._configuration), timeout=timeout)

    def show(self, *packages: str) -> list[Stanza]:
        """Index entries of binary packages (NAME or NAME=VERSION), all versions; unknown names give none."""
        return stanzas(self._query("apt-cache", "show", "--all-versions", *packages))

    def show_source(self, package: str) -> list[Stanza]:
        """Index entries of a source package, all versions."""
        return [s for s in stanzas(self._query("apt-cache", "showsrc", package)) if s.get("Package") == package]

    def names(self, prefix: str) -> list[str]:
        """Names of all packages that start so."""
        return self._query("apt-cache", "pkgnames", prefix).split()

    def _query(self, *argv: str) -> str:
        try:
            return self.run(*argv).stdout
        except CommandError as error:
            if error.returncode == 100:  # nothing found
                return ""
            raise


def _system_configuration() -> str:
    """Include lines for the configuration that apt would read here."""
    shell = run(["apt-config", "shell", "PARTS", "Dir::Etc::parts/d", "MAIN", "Dir::Etc::main/f"], env=environment())
    found = dict(re.findall(r"^(\w+)='(.*)'$", shell.stdout, re.MULTILINE))
    paths = [os.environ.get("APT_CONFIG", ""), found.get("PARTS", ""), found.get("MAIN", "")]
    return "".join(f'#include "{path}";\n' for path in paths if path and Path(path).exists())


def _update_failure(error: CommandError, source: Source) -> EnvError:
    """Why an index could not be had."""
    text = error.output
    last = next((line for line in text.splitlines() if line.startswith("E: ")), error.message).removeprefix("E: ")
    if _NO_SPACE.search(text):
        return EnvError(f"no space left for the package index of {source.suite}: {last}")
    if re.search(r"NO_PUBKEY|not signed|signature|Missing key|BADSIG", text):
        reason = next((line for line in text.splitlines() if "ignature" in line or "NO_PUBKEY" in line), last)
        return EnvError(
            f"{source.mirror} {source.suite}: the signature does not verify: {reason[3:].strip()}",
            hint=f"checked against {source.keyring}; upgrade debian-archive-keyring or set {KEYRING_VARIABLE}",
        )
    return EnvError(
        f"{source.mirror} {source.suite}: the package index cannot be fetched: {last}",
        hint=f"check the network and apt's proxy settings, or set {MIRROR_VARIABLE} to another mirror",
    )


@dataclass(frozen=True)
class Wanted:
    """A file to download: its path under a mirror and what it must be."""

    path: str
    sha256: str


def corrupt(path: str, expected: str, got: str) -> BuildError:
    """The error for a file that is not what the lock says."""
    return BuildError(
        f"corrupt download: {path}: expected SHA-256 {expected}, got {got}",
        hint="a proxy or mirror changes files; try again, or set ORCH_MIRROR to another mirror",
    )


def download(mirror: str, files: Sequence[Wanted], folder: Path, cancel: threading.Event | None = None) -> set[str]:
    """Download `files` to FOLDER/SHA256; returns the paths that the mirror does not have.

    Raises EnvError (mirror unreachable, no space, cancelled) or BuildError (corrupt). What came through stays in
    `folder`.
    """
    base = "copy:" + mirror.removeprefix("file:") if mirror.startswith("file:") else mirror
    if base.startswith("copy:") and not Path(base.removeprefix("copy:").replace("//", "/", 1)).is_dir():
        raise EnvError(f"mirror {mirror} is not there", hint=f"check {MIRROR_VARIABLE} or apt's sources")
    argv: list[str | Path] = [_HELPER, "download-file"]
    for file in files:
        argv += [base + file.path, folder / file.sha256, f"SHA256:{file.sha256}"]
    try:
        run(argv, env=environment(), timeout=DOWNLOAD_TIMEOUT, cancel=cancel)
    except CommandError as error:
        return _sort_failures(error, base, files, folder)
    return set()


def _sort_failures(error: CommandError, base: str, files: Sequence[Wanted], folder: Path) -> set[str]:
    """Tell files that are gone from failures that a person must look at."""
    reasons = {unquote(uri): reason for uri, reason in _FAILED.findall(error.output)}
    gone = set()
    for file in files:
        if _arrived(file, folder):
            continue
        reason = reasons.get(unquote(base + file.path), error.message)
        if _GONE.search(reason):
            gone.add(file.path)
        elif _NO_SPACE.search(reason):
            raise EnvError(f"no space left while downloading {file.path}", hint=f"free some at {folder}")
        elif "Hash Sum mismatch" in reason:
            raise corrupt(file.path, file.sha256, "something else")
        else:
            raise EnvError(
                f"mirror {base} cannot be reached: {reason}",
                hint=f"check the network and apt's proxy settings, or set {MIRROR_VARIABLE} to another mirror",
            )
    return gone


def _arrived(file: Wanted, folder: Path) -> bool:
    """Whether apt delivered the file; raises BuildError for a wrong one, which apt leaves under one of two names."""
    for path in (folder / file.sha256, folder / f"{file.sha256}.FAILED"):
        if path.is_file():
            got = sha256_of(path)
            if got != file.sha256:
                raise corrupt(file.path, file.sha256, got)
            return True
    return False


def clear(folder: Path) -> None:
    """Make an empty folder for `download`."""
    remove_tree(folder)
    make_folder(folder)
