# SPDX-License-Identifier: Apache-2.0
"""From a request to exact files: resolution of a package set in the signed suite it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.build import mirror, wheels
from orchestrator.build.apt import AptState, Source, Stanza
from orchestrator.build.cache import make_folder
from orchestrator.build.debversion import acceptable, newest
from orchestrator.build.run import CommandError
from orchestrator.errors import BuildError, EnvError, UsageError
from orchestrator.schema.lock import LockedFile, LockedSet
from orchestrator.schema.packages import PackageSpec

LOCK_TIMEOUT = 1800.0
_INSTALLED = re.compile(r"^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) .*?\[(\w+)\]\)", re.MULTILINE)
Notify = Callable[[str], None]


class Resolver:
    """Resolves requests against one mirror (wheels: pip's index); an index is refreshed once in the object's life."""

    def __init__(self, cache: Path, notify: Notify) -> None:
        self._root = cache / "apt"
        self._notify = notify
        self._states: dict[str, AptState] = {}

    def resolve(self, name: str, spec: PackageSpec) -> LockedSet:
        """The newest acceptable files for `spec`; raises BuildError (nothing fits) or EnvError (mirror, keyring)."""
        if spec.kind == "wheel":
            file = wheels.resolve(name, spec)
            return LockedSet(request=spec.digest(), suite=wheels.SUITE, version=file.version, files=[file])
        if spec.kind == "wheels":
            files = wheels.resolve_closure(name, spec)
            version = spec.requirements[0].partition("==")[2]
            return LockedSet(request=spec.digest(), suite=wheels.SUITE, version=version, files=files)
        make_folder(self._root)
        sources = spec.kind == "source"
        label = f"{spec.suite}-{'source' if sources else spec.architecture}"
        try:
            with FileLock(self._root / f"{label}.lock", timeout=LOCK_TIMEOUT):
                state = self._state(label, spec, sources)
                version, files = _KINDS[spec.kind](name, spec, state)
        except Timeout:
            raise EnvError(f"another orch has held {self._root / label}.lock for {LOCK_TIMEOUT:g} s") from None
        files.sort(key=lambda file: (file.package, file.path))
        return LockedSet(request=spec.digest(), suite=spec.suite, version=version, files=files)

    def _state(self, label: str, spec: PackageSpec, sources: bool) -> AptState:
        """The private apt for a suite, its index fresh."""
        if label not in self._states:
            base = mirror.mirrors()[0]
            source = Source(base, spec.suite, spec.architecture, mirror.keyring(), sources)
            state = AptState(self._root / label, source)
            state.create()
            self._notify(f"reading the package index {source.label} of {base}")
            state.update()
            self._states[label] = state
        state = self._states[label]
        state.pretend(())
        state.prefer({})
        return state


def _closure(name: str, spec: PackageSpec, state: AptState) -> tuple[str, list[LockedFile]]:
    """The packages and all they depend on."""
    lead = _choose(name, spec, state.show(spec.lead))
    state.pretend(_left_out(name, spec, state, lead))
    state.prefer({f"src:{_source_of(lead)}": lead["Version"], lead["Package"]: lead["Version"]})
    asked = [f"{spec.lead}={lead['Version']}", *(package for package in spec.packages if package != spec.lead)]
    try:
        plan = state.run("apt-get", "install", "--simulate", "--yes", *asked).stdout
    except CommandError as error:
        raise BuildError(f"package set '{name}': apt cannot satisfy {', '.join(asked)}: {error.message}") from None
    chosen = {(package, version, arch) for package, version, arch in _INSTALLED.findall(plan)}
    entries = _wanted_entries(state.show(*(f"{package}={version}" for package, version, _ in sorted(chosen))), chosen)
    missing = {package for package, _, _ in chosen} - {entry["Package"] for entry in entries}
    if missing or not entries:
        raise BuildError(f"package set '{name}': no index entry for {', '.join(sorted(missing)) or spec.lead}")
    return lead["Version"], [_file(entry) for entry in entries]


def _packages(name: str, spec: PackageSpec, state: AptState) -> tuple[str, list[LockedFile]]:
    """Just the named packages; of a pattern, the one with the newest acceptable version."""
    entries: list[Stanza] = []
    for pattern in spec.packages:
        literal = re.split(r"[*?\[]", pattern)[0]
        known = [pattern] if literal == pattern else [n for n in state.names(literal) if fnmatchcase(n, pattern)]
        entries.append(_choose(name, spec, state.show(*known) if known else [], pattern))
    return entries[spec.packages.index(spec.lead)]["Version"], [_file(entry) for entry in entries]


def _source(name: str, spec: PackageSpec, state: AptState) -> tuple[str, list[LockedFile]]:
    """The wanted files of the newest acceptable source package."""
    entry = _choose(name, spec, state.show_source(spec.lead))
    files = []
    for line in entry.get("Checksums-Sha256", "").split("\n"):
        sha256, size, file = [*line.split(), "", "", ""][:3]
        if file and any(fnmatchcase(file, pattern) for pattern in spec.files):
            files.append(_locked(entry, "source", f"{entry['Directory']}/{file}", size, sha256))
    if not files:
        raise BuildError(
            f"package set '{name}': {spec.lead} {entry['Version']} has no file like {', '.join(spec.files)}"
        )
    return entry["Version"], files


_KINDS: dict[str, Callable[[str, PackageSpec, AptState], tuple[str, list[LockedFile]]]] = {
    "closure": _closure,
    "packages": _packages,
    "source": _source,
}


def _choose(name: str, spec: PackageSpec, entries: Iterable[Stanza], asked: str | None = None) -> Stanza:
    """The newest entry that the request's limits accept."""
    by_version = {entry["Version"]: entry for entry in entries if "Version" in entry}
    best = newest(version for version in by_version if acceptable(version, spec))
    if best is not None:
        return by_version[best]
    limits = [f"series {spec.series.prefix}*"] if spec.series else []
    limits += [f"at least {spec.minimum}"] if spec.minimum else []
    there = ", ".join(sorted(by_version)) or "none"
    raise BuildError(
        f"package set '{name}': {spec.suite} has no acceptable {asked or spec.lead}"
        f" ({'; '.join(limits) or 'any version'}); versions there: {there}",
        hint="limits and suites are set in images/packages.yaml",
    )


def _left_out(name: str, spec: PackageSpec, state: AptState, lead: Stanza) -> list[Stanza]:
    """Index entries of the excluded packages, in versions that go with `lead`; a misspelt name is an error."""
    found = []
    entries = state.show(*spec.exclude) if spec.exclude else []
    for package in spec.exclude:
        versions = {entry["Version"]: entry for entry in entries if entry["Package"] == package}
        best = lead["Version"] if lead["Version"] in versions else newest(versions)
        if best is None:
            raise UsageError(f"images/packages.yaml: packages.{name}.exclude: {spec.suite} has no package '{package}'")
        found.append(versions[best])
    return found


def _source_of(entry: Stanza) -> str:
    return entry.get("Source", entry["Package"]).split()[0]


def _wanted_entries(entries: Iterable[Stanza], chosen: set[tuple[str, str, str]]) -> list[Stanza]:
    """Index entries of exactly the chosen packages, each once."""
    found = {}
    for entry in entries:
        identity = (entry.get("Package", ""), entry.get("Version", ""), entry.get("Architecture", ""))
        if identity in chosen and "Filename" in entry:
            found[identity] = entry
    return list(found.values())


def _file(entry: Stanza) -> LockedFile:
    return _locked(entry, entry["Architecture"], entry["Filename"], entry["Size"], entry["SHA256"])


def _locked(entry: Stanza, architecture: str, path: str, size: str, sha256: str) -> LockedFile:
    return LockedFile(
        package=entry["Package"],
        version=entry["Version"],
        architecture=architecture,
        path=path,
        size=int(size),
        sha256=sha256,
    )
