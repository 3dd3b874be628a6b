# SPDX-License-Identifier: Apache-2.0
"""Where Debian's archive is, as this machine's apt knows it, and the keyring that vouches for it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build.run import CommandError, run
from orchestrator.errors import EnvError

MIRROR_VARIABLE = "ORCH_MIRROR"
KEYRING_VARIABLE = "ORCH_KEYRING"
_KEYRINGS = tuple(
    Path("/usr/share/keyrings") / name for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
)
_SUITES = "bookworm trixie forky sid duke oldstable stable testing unstable experimental"
_SUITE_PATTERN = re.compile(rf"(?:{'|'.join(_SUITES.split())})(?:-updates|-proposed-updates|-backports)?")
_FIELDS = ("REPO_URI", "RELEASE", "ORIGIN", "LABEL", "COMPONENT")
_FORMAT = "\t".join(f"$({name})" for name in _FIELDS)
_MIRROR_LIST = "mirror+file:"


@dataclass(frozen=True)
class Target:
    """One index that apt is set up to fetch; `origin` and `label` are empty until it was fetched once."""

    uri: str
    release: str
    origin: str
    label: str
    component: str


def mirrors() -> list[str]:
    """Base addresses of Debian's main archive, best first; raises EnvError with what to set if there is none."""
    told = os.environ.get(MIRROR_VARIABLE)
    if told:
        return [_slashed(told)]
    known: list[Target] = []
    for flags in ((), ("--no-release-info",)):  # the second also lists what `apt-get update` has not fetched yet
        known += parse_targets(_index_targets(flags))
    found = [address for base in choose_mirrors(known) for address in _expand(base)]
    if not found:
        raise EnvError(
            "apt on this machine knows no mirror of the Debian archive",
            hint=f"set {MIRROR_VARIABLE} to the base address of one (the folder that holds dists/ and pool/), "
            f"and {KEYRING_VARIABLE} to Debian's keyring if the package debian-archive-keyring is not installed",
        )
    return found


def keyring() -> Path:
    """The keyring that Debian's suites are checked against; raises EnvError if there is none."""
    told = os.environ.get(KEYRING_VARIABLE)
    for path in (Path(told),) if told else _KEYRINGS:
        if path.is_file():
            return path.resolve()
    if told:
        raise EnvError(f"{KEYRING_VARIABLE}={told}: no such file", hint="it must be an OpenPGP keyring (.gpg or .asc)")
    raise EnvError(
        "no Debian archive keyring, so nothing from a mirror could be trusted",
        hint=f"apt-get install debian-archive-keyring, or set {KEYRING_VARIABLE} to such a file",
    )


def parse_targets(text: str) -> list[Target]:
    """Read the output of `apt-get indextargets` in our format; a field that apt does not know stays a '$(NAME)'."""
    targets = []
    for line in text.splitlines():
        parts = ["" if part.startswith("$(") else part for part in line.split("\t")]
        if len(parts) == len(_FIELDS):
            targets.append(Target(*parts))
    return targets


def choose_mirrors(targets: Sequence[Target]) -> list[str]:
    """Base addresses without duplicates: those whose signed release says Debian, else those that only look like it."""
    main = [target for target in targets if target.component == "main"]
    proven = [target.uri for target in main if target.origin == "Debian" and target.label == "Debian"]
    likely = [t.uri for t in main if not t.origin and _SUITE_PATTERN.fullmatch(t.release) and "security" not in t.uri]
    return list(dict.fromkeys(_slashed(uri) for uri in proven or likely))


def _index_targets(flags: Sequence[str]) -> str:
    argv = ["apt-get", "indextargets", *flags, "--format", _FORMAT, "Created-By: Packages"]
    try:
        return run(argv, env={**os.environ, "LC_ALL": "C"}, timeout=60).stdout
    except CommandError as error:
        raise EnvError(f"apt's own configuration cannot be read: {error.message}", hint=error.hint) from None


def _expand(base: str) -> list[str]:
    """Replace a list of mirrors (as cloud images have) by its members: apt can use it for indexes only."""
    if not base.startswith(_MIRROR_LIST):
        return [base]
    path = Path(base.removeprefix(_MIRROR_LIST).rstrip("/"))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [_slashed(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def _slashed(uri: str) -> str:
    return uri if uri.endswith("/") else f"{uri}/"
