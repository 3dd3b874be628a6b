# SPDX-License-Identifier: Apache-2.0
"""Types of fields that hold the name of something registered: a phase, an attack, a platform and so on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orchestrator.registry import ATTACKS, PLATFORMS, PROTECTIONS, RUNTIMES, Registry
from orchestrator.words import PHASES


class _NameOf:
    """Tells editors which names there are, at the moment when the schema is made; if `told`, each with its summary."""

    def __init__(self, registry: Registry[Any], *, told: bool = False) -> None:
        self.registry = registry
        self.told = told

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if not self.told:
            return handler(core) | {"enum": list(self.registry)}
        names = [{"const": name, "description": record.summary} for name, record in self.registry.items()]
        return handler(core) | {"oneOf": names}

    def __call__(self, value: str) -> str:
        if value not in self.registry:
            raise ValueError(f"expected one of {', '.join(self.registry)}, found '{value}'")
        return value


def _names(registry: Registry[Any], *, told: bool = False) -> tuple[AfterValidator, _NameOf]:
    of = _NameOf(registry, told=told)
    return AfterValidator(of), of


PhaseName = Annotated[str, *_names(PHASES)]
AttackName = Annotated[str, *_names(ATTACKS, told=True)]
PlatformName = Annotated[str, *_names(PLATFORMS)]
ProtectionName = Annotated[str, *_names(PROTECTIONS)]
RuntimeName = Annotated[str, *_names(RUNTIMES)]
