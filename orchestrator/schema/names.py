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
    """Tells editors which names there are, at the moment when the schema is made."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"enum": list(self.registry)}

    def __call__(self, value: str) -> str:
        if value not in self.registry:
            raise ValueError(f"expected one of {', '.join(self.registry)}, found '{value}'")
        return value


def _names(registry: Registry[Any]) -> tuple[AfterValidator, _NameOf]:
    of = _NameOf(registry)
    return AfterValidator(of), of


PhaseName = Annotated[str, *_names(PHASES)]
AttackName = Annotated[str, *_names(ATTACKS)]
PlatformName = Annotated[str, *_names(PLATFORMS)]
ProtectionName = Annotated[str, *_names(PROTECTIONS)]
RuntimeName = Annotated[str, *_names(RUNTIMES)]
