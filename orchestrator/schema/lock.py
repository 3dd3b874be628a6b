# SPDX-License-Identifier: Apache-2.0
"""`orch.lock.json`: every package by version and SHA-256, in a layout whose git difference people can read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from orchestrator.errors import UsageError
from orchestrator.schema.yamlfile import Strict

LOCK_NAME = "orch.lock.json"
_REGENERATE = "restore it from version control or run `orch lock --update`"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LockedFile(Strict):
    """One file of a Debian mirror, or a wheel; `path` is relative to the mirror or a bare name, `size` in bytes."""

    package: str
    version: str
    architecture: str
    path: str = Field(pattern=r"^[\w+~][\w.+~:-]*(/[\w+~][\w.+~:-]*)*$")
    size: int = Field(ge=0)
    sha256: Sha256

    @property
    def name(self) -> str:
        """The bare file name."""
        return PurePosixPath(self.path).name

    @property
    def is_wheel(self) -> bool:
        """Whether it comes from a Python index and not from a mirror."""
        return self.path.endswith(".whl")


class LockedSet(Strict):
    """All files of one package set, and the version of the package that leads it."""

    request: str = Field(description="PackageSpec.digest() of what was asked for")
    suite: str = Field(description="where it was resolved: a suite of the mirror, or 'pypi'")
    version: str
    files: list[LockedFile] = Field(min_length=1)


class LockedPackage(Strict):
    """One Python package; `sha256` of each file of the release that a supported Python can use."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][0-9A-Za-z.+!]*$")
    sha256: list[Sha256] = Field(min_length=1)


class LockedPypi(Strict):
    """All Python packages, for the Python versions listed."""

    request: str = Field(description="digest of the dependencies in pyproject.toml")
    python: list[str]
    packages: list[LockedPackage]


class Lock(Strict):
    """The whole of `orch.lock.json`."""

    schema_version: Literal[1] = 1
    packages: dict[str, LockedSet]
    pypi: LockedPypi

    def packages_digest(self) -> str:
        """SHA-256 of what recipes are given, as hex; substitutions of dropped files belong to it."""
        return digest_of({name: pin.model_dump() for name, pin in self.packages.items()})


class Replacement(Strict):
    """What is used in place of a pin that the mirror dropped; not yet accepted: until the boot check passed."""

    accepted: bool = False
    dropped: list[str] = Field(description="pinned paths that the mirror no longer had")
    pin: LockedSet


class Replacements(Strict):
    """The whole of a file under CACHE/substitutions; it belongs to one lock."""

    schema_version: Literal[1] = 1
    packages: dict[str, Replacement] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("packages", "inputs"),  # what a file of an earlier orch calls them
    )


def digest_of(data: object) -> str:
    """SHA-256 over canonical JSON, as hex."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load(path: Path) -> Lock:
    """Read a lock file; raises UsageError."""
    try:
        return Lock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", hint=_REGENERATE) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{path}: {where}: {first['msg']}" if where else f"{path}: {first['msg']}"
        raise UsageError(message, hint=_REGENERATE) from None


def dumps(model: BaseModel) -> str:
    """Sorted, indented JSON in which a record of plain values is one line: one changed file, one changed line."""
    return _layout(model.model_dump(), "") + "\n"


def _layout(value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and any(isinstance(part, dict | list) for part in value.values()):
        lines = [f"{deeper}{json.dumps(key)}: {_layout(value[key], deeper)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(deeper + _layout(part, deeper) for part in value) + f"\n{indent}]"
    return json.dumps(value, sort_keys=True)
