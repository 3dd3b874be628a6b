# SPDX-License-Identifier: Apache-2.0
"""What the project can be extended by: named records, each from a file of its own and one registration here.

A name is known without importing its module, so that a schema can list names at no cost; the record comes from the
module's `RECORD` when somebody asks for it. Files outside the package add records with `add` (see extensions.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from orchestrator.errors import UsageError


class Named(Protocol):
    """A record of a registry."""

    @property
    def name(self) -> str:
        """What users, rows and files call it."""


Record = TypeVar("Record", bound=Named)


class Registry(Mapping[str, Record]):
    """Records of one kind by name, in the order of their registration; `what` is the word for one of them."""

    def __init__(self, what: str, modules: Mapping[str, str] | None = None) -> None:
        """Name the kind, and the modules whose `RECORD` is the record of each name."""
        self.what = what
        self._modules = dict(modules or {})
        self._records: dict[str, Record] = {}

    def __getitem__(self, name: str) -> Record:
        if name not in self._records:
            record: Record = importlib.import_module(self._modules[name]).RECORD
            if record.name != name:
                module = self._modules[name]
                raise ValueError(f"{module}: RECORD is called '{record.name}', registered is {self.what} '{name}'")
            self._records[name] = record
        return self._records[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._modules, *self._records]))

    def __len__(self) -> int:
        return len({*self._modules, *self._records})

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._records

    def add(self, record: Record) -> Record:
        """Register a record; raises UsageError if its name is taken."""
        if record.name in self:
            raise UsageError(f"there is a {self.what} '{record.name}' already", hint=self._known())
        self._records[record.name] = record
        return record

    @contextmanager
    def extended(self, *records: Record) -> Iterator[None]:
        """These records are registered inside the block only."""
        before = dict(self._records)
        try:
            for record in records:
                self.add(record)
            yield
        finally:
            self._records.clear()  # in place: who has the dict sees it as well
            self._records.update(before)

    def find(self, name: str) -> Record:
        """The record of that name; raises UsageError with the names that there are."""
        if name not in self:
            raise UsageError(f"unknown {self.what} '{name}'", hint=self._known())
        return self[name]

    def _known(self) -> str:
        return f"there are: {', '.join(self)}"


ATTACKS: Registry[Any] = Registry(
    "attack",
    {
        "memory-scan": "orchestrator.privacy.memory_scan",
        "dma": "orchestrator.privacy.dma",
        "plain-channel": "orchestrator.privacy.plain_channel",
        "answer-time": "orchestrator.privacy.answer_time",
    },
)
"""Records are of type orchestrator.privacy.attack.Attack; the order is that in which they are done."""

PLATFORMS: Registry[Any] = Registry(
    "platform", {"qemu": "orchestrator.machine.qemu", "fvp": "orchestrator.machine.fvp"}
)
"""Records are of type orchestrator.machine.platform.Platform."""

PROTECTIONS: Registry[Any] = Registry("protection", {"none": "orchestrator.protect.plain"})
"""Records are of type orchestrator.protect.protection.Protection."""

RUNTIMES: Registry[Any] = Registry("runtime", {"litert": "orchestrator.models.litert"})
"""Records are of type orchestrator.models.runtime.Runtime."""

DEFAULT_RUNTIME, DEFAULT_PROTECTION = "litert", "none"
"""What a workload has that does not say, and what there was before one could."""
