# SPDX-License-Identifier: Apache-2.0
"""`images/packages.yaml`: what recipes take from a Debian mirror or a Python index, before it is pinned."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.schema.yamlfile import Strict

PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
PackagePattern = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.*?\[\]-]+$")]
SetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
WheelVersion = Annotated[str, Field(pattern=r"^[0-9][0-9A-Za-z.+!]*$")]
WheelRequirement = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.+!]*$")]
WheelTag = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

# Keys that each kind needs, and those it may have; any other would be ignored in silence.
_KEYS = {
    "closure": (["suite", "packages"], ["architecture", "exclude", "series", "minimum"]),
    "packages": (["suite", "packages"], ["architecture", "series", "minimum"]),
    "source": (["suite", "package", "files"], ["architecture", "series", "minimum"]),
    "wheel": (["package", "version", "python", "abi", "platform"], []),
    "wheels": (["requirements", "python", "platform"], ["exclude"]),
}


class Series(Strict):
    """A family of versions that an update never leaves; `prefix` is compared with the version without its epoch."""

    prefix: str = Field(min_length=1)
    package: PackageName | None = Field(default=None, description="whose version counts, where several are asked")


class PackageSpec(Strict):
    """One package set.

    `closure`: the packages and all they depend on, as installed into an empty system without recommends.
    `packages`: just the packages; a name may be a pattern, of which the newest match is taken.
    `source`: files of a source package.
    `wheel`: one wheel of a Python package, without what it depends on; the tags are those of its file name.
    `wheels`: the wheels of Python packages and of all they depend on, for one Python.
    """

    kind: Literal["closure", "packages", "source", "wheel", "wheels"]
    suite: str = Field(default="", pattern=r"^([a-z][a-z0-9-]*)?$")
    architecture: Literal["amd64", "arm64"] = "amd64"
    packages: list[PackagePattern] = Field(default_factory=list)
    package: PackageName | None = Field(default=None, description="the source or Python package")
    files: list[str] = Field(default_factory=list, description="patterns of the wanted files of the source package")
    exclude: list[PackageName] = Field(default_factory=list, description="taken as installed, with all only they need")
    series: Series | None = None
    minimum: str | None = Field(default=None, description="lowest acceptable version, epoch left out")
    version: WheelVersion | None = Field(default=None, description="the exact version of a wheel")
    requirements: list[WheelRequirement] = Field(default_factory=list, description="Python packages: NAME==VERSION")
    python: WheelTag | None = Field(default=None, description="Python tag of a wheel: cp311, py3")
    abi: WheelTag | None = Field(default=None, description="ABI tag of a wheel: cp311, abi3, none")
    platform: list[WheelTag] = Field(default_factory=list, description="acceptable platform tags of a wheel")

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> Self:
        """Each kind has its own keys."""
        needed, possible = _KEYS[self.kind]
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f"kind '{self.kind}' needs '{key}'")
        refused = self.model_fields_set - {"kind", *needed, *possible}
        if refused:
            raise ValueError(f"'{min(refused)}' has no meaning for kind '{self.kind}'")
        if self.series and len(self.packages) > 1 and self.series.package not in self.packages:
            raise ValueError("'series.package' must name one of 'packages'")
        return self

    @property
    def lead(self) -> str:
        """The package (or pattern) whose version `series` and `minimum` limit and which stands for the whole."""
        if self.series and self.series.package:
            return self.series.package
        return self.package or self.packages[0]

    def digest(self) -> str:
        """Short hash of what is asked for; the lock keeps it to notice an edited request."""
        asked = json.dumps(self.model_dump(exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


class PackagesFile(Strict):
    """The whole of `images/packages.yaml`."""

    packages: dict[SetName, PackageSpec]
