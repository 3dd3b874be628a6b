# SPDX-License-Identifier: Apache-2.0
"""Read a YAML file into a pydantic model; all mistakes are told, each in a line: file:line:column, key, expectation."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import MistakesError, UsageError
from orchestrator.schema.yamltext import Location, Places, apply, parse

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base of all configuration models: frozen, an unknown key is an error, and so is a number that is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mistake(NamedTuple):
    """What is wrong with a document that its schema cannot know: where, and what.

    `alone`: whatever else the document says, so that it can be told beside mistakes of another kind.
    """

    at: Location
    text: str
    hint: str | None = None
    alone: bool = False


def load(
    path: Path,
    model: type[Model],
    changes: Sequence[str] = (),
    check: Callable[[Model], Iterable[Mistake]] | None = None,
) -> Model:
    """Parse `path` and validate it as `model`; raises UsageError naming file, line, column and key.

    `changes` are `a.b=VALUE` from a command line, the value in YAML; they win over the file. `check` looks for more
    mistakes in a document that the schema has nothing against.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    return loads(text, str(path), model, changes, check)


def loads(
    text: str,
    name: str,
    model: type[Model],
    changes: Sequence[str] = (),
    check: Callable[[Model], Iterable[Mistake]] | None = None,
) -> Model:
    """Validate YAML `text` as `model`; `name` stands for the file in messages."""
    data, places = parse(text, name)
    for change in changes:
        apply(change, data, places)
    try:
        document = model.model_validate(data)
    except ValidationError as error:
        problems = _causes(error.errors(include_url=False))
        more, beyond = _hidden(_without(data, problems), model, check)
        found = _described([*problems, *more], places, name, model)
        found |= {_line(each, places, name): each for each in beyond}
    else:
        found = {_line(each, places, name): each for each in (check(document) if check else ())}
        if not found:
            return document
    order = {at: number for number, at in enumerate(places)}
    ordered = sorted(found, key=lambda line: order.get(_known_part(found[line].at, places)[0], -1))
    raise MistakesError([(line, found[line].hint) for line in ordered])


def _line(mistake: Mistake, places: Places, name: str) -> str:
    found, unknown = _known_part(mistake.at, places)
    return f"{places.get(found, name)}: {_dotted(found or unknown) or 'document'}: {mistake.text}"


def _causes(problems: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without what only follows from another one: a list whose items are wrong is too short as well."""
    places = [problem["loc"] for problem in problems]

    def follows(problem: ErrorDetails) -> bool:
        at = problem["loc"]
        return problem["type"] == "too_short" and any(place != at and place[: len(at)] == at for place in places)

    return [problem for problem in problems if not follows(problem)]


def _described(
    problems: Sequence[ErrorDetails], places: Places, name: str, model: type[BaseModel]
) -> dict[str, Mistake]:
    """What the schema has against a document, by the line that says it."""
    lines: dict[str, Mistake] = {}
    meant: set[Location] = set()
    # A key that is spelled wrong is also one that is missing: the former says more.
    for problem in sorted(problems, key=lambda each: each["type"] != "extra_forbidden"):
        found, unknown = _known_part(problem["loc"], places)
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = _known_keys(model, found[:-1])
            near = _nearest(str(problem["loc"][-1]), known)
            meant |= {(*found[:-1], near)} if near else set()
            text = "unknown key" + (f"; did you mean '{near}'?" if near else _choice(known))
        missing = unknown[-1:] if problem["type"] == "missing" else ()
        key = (*found, *missing)
        if missing and key in meant:
            continue
        line = f"{places.get(found, name)}: {_dotted(key or unknown) or 'document'}: {text}"
        lines.setdefault(line, Mistake(found, text))
    return lines


def _without(data: Any, problems: Sequence[ErrorDetails]) -> Any:
    """The document less the keys that something is wrong with, as far as there are any."""
    left = copy.deepcopy(data)
    for problem in problems:
        holder, key, node = None, None, left
        for part in problem["loc"] if problem["type"] != "missing" else ():
            if isinstance(node, dict) and part in node:
                holder, key, node = node, part, node[part]
            elif isinstance(node, list):  # to take an item away would move the others
                break
        if holder is not None:
            holder.pop(key)
    return left


def _hidden(
    left: Any, model: type[Model], check: Callable[[Model], Iterable[Mistake]] | None
) -> tuple[list[ErrorDetails], list[Mistake]]:
    """What is wrong with the rest of a document, as far as that cannot follow from what was taken away."""
    try:
        document = model.model_validate(left)
    except ValidationError as error:
        return [each for each in error.errors(include_url=False) if each["type"] == "extra_forbidden"], []
    return [], [each for each in check(document) if each.alone] if check else []


def _known_part(at: Location, places: Places) -> tuple[Location, Location]:
    """As much of a path as is in the document, and what came after; a union adds its branch, which is in none."""
    found: Location = ()
    unknown: Location = ()
    for part in at:
        if (*found, part) in places:
            found, unknown = (*found, part), ()
        else:
            unknown = (*unknown, part)
    return found, unknown


def _dotted(at: Location) -> str:
    return ".".join(str(part) for part in at)


def _known_keys(model: type[BaseModel], path: Location) -> list[str]:
    """The keys that `model` accepts at `path` (empty where the path leaves the known models)."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = next((each.model_fields for each in _models_in(current) if part in each.model_fields), None)
        if fields is None:
            return []
        current = fields[part].annotation
    return [key for each in _models_in(current) for key in each.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type consists of: itself, or those of its items or branches."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _nearest(word: str, known: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def _choice(known: list[str]) -> str:
    return f"; known here: {', '.join(known)}" if known else ""
