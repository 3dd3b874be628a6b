# SPDX-License-Identifier: Apache-2.0
"""An editor: as much of JSON Schema (2020-12) as the published one uses; a keyword not known here is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_SAYS_NOTHING = {"$defs", "default", "description", "format", "title"}
_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


@pytest.fixture(scope="session")
def underlined() -> Callable[[str], list[str]]:
    """What an editor would underline in the text of a workload file."""
    path = Path(__file__).resolve().parents[3] / "docs/workload.schema.json"
    published = json.loads(path.read_text(encoding="utf-8"))
    return lambda text: list(problems(yaml.safe_load(text), published, published))


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """What is wrong with `value`."""
    for keyword, expected in schema.items():
        if keyword not in _SAYS_NOTHING:
            yield from _KEYWORDS[keyword](value, expected, schema, root, at)


def _branches(value: Any, branches: Any, root: dict[str, Any], at: str) -> list[list[str]]:
    return [list(problems(value, branch, root, at)) for branch in branches]


def _any_of(value: Any, branches: Any, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    found = _branches(value, branches, root, at)
    if all(found):
        yield f"{at}: none of: {found}"


def _one_of(value: Any, branches: Any, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    found = _branches(value, branches, root, at)
    if sum(not each for each in found) != 1:
        yield f"{at}: not one of: {found}"


def _reference(value: Any, name: str, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    yield from problems(value, root["$defs"][name.removeprefix("#/$defs/")], root, at)


def _type(value: Any, name: str, *rest: Any) -> Iterator[str]:
    if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and name != "boolean"):
        yield f"{rest[-1]}: {value!r} is no {name}"


def _items(value: Any, schema: Any, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from problems(item, schema, root, f"{at}.{index}")


def _properties(value: Any, known: Any, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    for key in known.keys() & (value.keys() if isinstance(value, dict) else ()):
        yield from problems(value[key], known[key], root, f"{at}.{key}")


def _prefix(value: Any, schemas: Any, _: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    for index, (item, schema) in enumerate(zip(value if isinstance(value, list) else (), schemas, strict=False)):
        yield from problems(item, schema, root, f"{at}.{index}")


def _others(value: Any, allowed: Any, schema: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    others = sorted(value.keys() - schema.get("properties", {}).keys())
    if others and allowed is False:
        yield f"{at}: unknown keys"
    for key in others if isinstance(allowed, dict) else ():
        yield from problems(value[key], allowed, root, f"{at}.{key}")


def _test(holds: Any) -> Any:
    """A keyword that is about one value and what the keyword says; values of other types do not concern it."""

    def check(value: Any, expected: Any, _: Any, root: Any, at: str) -> Iterator[str]:
        if not holds(value, expected):
            yield f"{at}: {value!r} against {expected!r}"

    return check


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


_KEYWORDS = {
    "$ref": _reference,
    "additionalProperties": _others,
    "anyOf": _any_of,
    "const": _test(lambda value, only: value == only),
    "enum": _test(lambda value, these: value in these),
    "exclusiveMaximum": _test(lambda value, most: not _number(value) or value < most),
    "exclusiveMinimum": _test(lambda value, least: not _number(value) or value > least),
    "items": _items,
    "maxItems": _test(lambda value, most: not isinstance(value, list) or len(value) <= most),
    "maximum": _test(lambda value, most: not _number(value) or value <= most),
    "minItems": _test(lambda value, least: not isinstance(value, list) or len(value) >= least),
    "minimum": _test(lambda value, least: not _number(value) or value >= least),
    "multipleOf": _test(lambda value, unit: not _number(value) or value % unit == 0),
    "oneOf": _one_of,
    "pattern": _test(lambda value, pattern: not isinstance(value, str) or bool(re.search(pattern, value))),
    "prefixItems": _prefix,
    "properties": _properties,
    "required": _test(lambda value, keys: not isinstance(value, dict) or value.keys() >= set(keys)),
    "type": _type,
    "uniqueItems": _test(lambda value, _: not isinstance(value, list) or len({*map(str, value)}) == len(value)),
}
