# SPDX-License-Identifier: Apache-2.0
"""Read a YAML file into a pydantic model; every mistake is one line: file:line:column, key, expectation."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import UsageError

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base of all configuration models: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load(path: Path, model: type[Model]) -> Model:
    """Parse `path` and validate it as `model`; raises UsageError naming file, line, column and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    return loads(text, str(path), model)


def loads(text: str, name: str, model: type[Model]) -> Model:
    """Validate YAML `text` as `model`; `name` stands for the file in messages."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    marks: dict[Location, yaml.Mark] = {}
    if root is not None:
        _collect_marks(root, (), marks, name)
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as error:
        raise UsageError(_describe(error, marks, name, model)) from None


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


def _describe(error: ValidationError, marks: dict[Location, yaml.Mark], name: str, model: type[BaseModel]) -> str:
    """The first problem as one line, with how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    location: Location = first["loc"]
    text = first["msg"]
    if first["type"] == "extra_forbidden":
        text = f"unknown key{_nearest(str(location[-1]), _known_keys(model, location[:-1]))}"
    while location and location not in marks:
        location = location[:-1]
    mark = marks.get(location)
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    key = ".".join(str(part) for part in first["loc"]) or "document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {key}: {text}{more}"


def _known_keys(model: type[BaseModel], path: Location) -> list[str]:
    """The keys that `model` accepts at `path` (empty where the path leaves the known models)."""
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return []
        current = fields[part].annotation
    return list(getattr(current, "model_fields", {}))


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if known else ""
