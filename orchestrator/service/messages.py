# SPDX-License-Identifier: Apache-2.0
"""Messages read strictly: what is wrong with one is told in a line, without what was in it."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.schema.keys import Message
from orchestrator.service.refusal import MALFORMED, RefusedError

Model = TypeVar("Model", bound=Message)


def read(model: type[Model], payload: Any) -> Model:
    """A message's fields; raises RefusedError."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise RefusedError(describe(error), MALFORMED) from None


def describe(error: ValidationError) -> str:
    """The first thing that is wrong with a message, in a line."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    words = first["msg"] if first["type"] != "union_tag_invalid" else f"expected {first['ctx']['expected_tags']}"
    return f"{place[:80] or 'message'}: {ascii(words[:120])[1:-1]}"
