# SPDX-License-Identifier: Apache-2.0
"""How a realm is made, step by step, as `rvmm describe` writes it: one JSON object a line.

The format is described in guest/host/rvmm/describe.h.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from orchestrator.errors import AttestationError
from orchestrator.schema.yamlfile import Strict

U8 = Annotated[int, Field(ge=0, lt=1 << 8, strict=True)]
U64 = Annotated[int, Field(ge=0, lt=1 << 64, strict=True)]


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


Base64 = Annotated[bytes, BeforeValidator(_decoded)]


class Create(Strict):
    """REALM_CREATE: the realm's attributes; those that are not here are 0."""

    step: Literal["create"]
    ipa_bits: U8
    hash_algo: U8
    num_bps: U8
    num_wps: U8
    rpv: str = Field(pattern=r"^[0-9a-f]{128}$", description="personalization value; no part of the measurement")


class Ripas(Strict):
    """RTT_INIT_RIPAS of [base, top), which changes entries of `entry_bytes` each."""

    step: Literal["ripas"]
    base: U64
    top: U64
    entry_bytes: U64 = Field(gt=0)


class Data(Strict):
    """DATA_CREATE of the pages from `ipa` on: `bytes` of the source, the last page filled up with zeros."""

    step: Literal["data"]
    ipa: U64
    flags: U64
    source: str
    bytes: U64 = Field(gt=0)
    content: Base64 | None = Field(
        default=None, description="the source itself; without it, whoever replays it has one of that name"
    )


class Rec(Strict):
    """REC_CREATE."""

    step: Literal["rec"]
    index: U64
    mpidr: U64
    flags: U64
    pc: U64
    gprs: tuple[U64, U64, U64, U64, U64, U64, U64, U64]


class Activate(Strict):
    """REALM_ACTIVATE: the initial measurement is final."""

    step: Literal["activate"]


Step = Create | Ripas | Data | Rec | Activate
_STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


def parse_population(text: str) -> list[Step]:
    """Understand a description; raises AttestationError with the line's number for one that is not a known step."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            steps.append(_STEP.validate_json(line))
        except ValidationError as error:
            first: Any = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise AttestationError(
                f"description of the realm, line {number}: {place + ': ' if place else ''}{first['msg']}"
            ) from None
    return steps
