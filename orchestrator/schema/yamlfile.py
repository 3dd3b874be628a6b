# SPDX-License-Identifier: Apache-2.0
"""Read a YAML file into a pydantic model; every mistake is one line: file:line:column, key, expectation."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import UsageError
from orchestrator.schema.yamltext import compose, data_of

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
# PyYAML lets through what Python says of a date, a number or a depth that there is not.
_BAD_YAML = (yaml.YAMLError, ValueError, RecursionError)


class Strict(BaseModel):
    """Base of all configuration models: frozen, an unknown key is an error, and so is a number that is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mistake(NamedTuple):
    """What is wrong with a document that its schema cannot know: where, and what."""

    at: Location
    text: str
    hint: str | None = None


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
    data, places = _parse(text, name)
    for change in changes:
        _apply(change, data, places)
    try:
        document = model.model_validate(data)
    except ValidationError as error:
        raise UsageError(_describe(error, places, name, model)) from None
    mistakes = list(check(document)) if check else []
    if mistakes:
        found, _ = _known_part(mistakes[0].at, places)
        key = _dotted(found or mistakes[0].at)
        raise UsageError(
            f"{places.get(found, name)}: {key}: {mistakes[0].text}{_more(mistakes)}", hint=mistakes[0].hint
        )
    return document


def _parse(text: str, name: str) -> tuple[Any, dict[Location, str]]:
    """The document, and where each of its keys is."""
    marks: dict[Location, yaml.Mark] = {}
    try:
        root, data = compose(text)
        if root is not None:
            _collect_marks(root, (), marks, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"{where}: not valid YAML: {error.problem}") from None
    except _BAD_YAML as error:
        raise UsageError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    places = {at: f"{name}:{mark.line + 1}:{mark.column + 1}" for at, mark in marks.items()}
    return ({} if data is None else data), places


def _apply(change: str, data: Any, places: dict[Location, str]) -> None:
    """Put one `a.b=VALUE` into the document, and note that this is where the key comes from."""
    dotted, equals, value = change.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {change}: expected KEY=VALUE or KEY.KEY=VALUE")
    try:
        parsed = data_of(value)
    except _BAD_YAML:
        raise UsageError(f"--set {change}: the value is not valid YAML") from None
    for key in keys[:-1]:
        if not isinstance(data, dict) or not isinstance(data.setdefault(key, {}), dict):
            raise UsageError(f"--set {change}: '{key}' has no keys of its own")
        data = data[key]
    if not isinstance(data, dict):
        raise UsageError(f"--set {change}: the document has no keys")
    data[keys[-1]] = parsed
    at = tuple(keys)
    for below in [place for place in places if place[: len(at)] == at]:
        del places[below]
    for length in range(1, len(at) + 1):
        places.setdefault(at[:length], f"--set {change}")


def _collect_marks(node: yaml.Node, at: Location, marks: dict[Location, yaml.Mark], name: str) -> None:
    """Remember where each key (or list item) of the document starts; a key given twice is an error."""
    marks.setdefault(at, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, key.value)
            if here in marks:
                line, column = key.start_mark.line + 1, key.start_mark.column + 1
                raise UsageError(f"{name}:{line}:{column}: key '{key.value}' is given twice")
            marks[here] = key.start_mark
            _collect_marks(value, here, marks, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_marks(value, (*at, index), marks, name)


def _describe(error: ValidationError, places: dict[Location, str], name: str, model: type[BaseModel]) -> str:
    """The first problem as one line, with how many more there are."""
    problems = error.errors(include_url=False)
    # A key that is spelled wrong is also one that is missing: the former says more.
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    found, unknown = _known_part(first["loc"], places)
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = f"unknown key{_nearest(str(first['loc'][-1]), _known_keys(model, found[:-1]))}"
    missing = unknown[-1:] if first["type"] == "missing" else ()
    key = _dotted((*found, *missing) or unknown) or "document"
    return f"{places.get(found, name)}: {key}: {text}{_more(problems)}"


def _known_part(at: Location, places: dict[Location, str]) -> tuple[Location, Location]:
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


def _more(problems: Sequence[object]) -> str:
    return f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""


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


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if known else ""
