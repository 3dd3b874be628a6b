# SPDX-License-Identifier: Apache-2.0
"""YAML text as data, with the place of each key; what one document means, another program's YAML must mean as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import yaml

from orchestrator.errors import UsageError

Location = tuple[str | int, ...]
Places = dict[Location, str]
# PyYAML lets through what Python says of a date, a number or a depth that there is not.
_BAD_YAML = (yaml.YAMLError, ValueError, RecursionError)
_FLOAT = "tag:yaml.org,2002:float"
_MERGE = "tag:yaml.org,2002:merge"
# YAML 1.2 and everybody else: PyYAML wants a point and a sign as well, and takes the rest for text.
_EXPONENT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$")


# Columns and brackets, of which each level of a document takes one or half of one.
_SHALLOW = 500


class _Loader(yaml.SafeLoader):
    """Reads numbers like 1e-2."""


class _Fast(getattr(yaml, "CSafeLoader", _Loader)):  # type: ignore[misc]  # PyYAML may be without it
    """The same by libyaml, in a seventh of the time; it ends the process where a document is too deep."""


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads as the same: text like 1e-2 in quotes."""


_Resolver: Any
for _Resolver in {_Loader, _Fast, _Dumper}:
    _Resolver.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))


def parse(text: str, name: str) -> tuple[Any, Places]:
    """The document, and where each of its keys is; `name` stands for the file. Raises UsageError."""
    marks: dict[Location, yaml.Mark] = {}
    try:
        loader, root = _compose(text)
        if root is not None:
            _collect_marks(root, (), marks, name)  # before the merges are done
        data = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"{where}: not valid YAML: {error.problem}") from None
    except _BAD_YAML as error:
        raise UsageError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    places = {at: f"{name}:{mark.line + 1}:{mark.column + 1}" for at, mark in marks.items()}
    return ({} if data is None else data), places


def _compose(text: str) -> tuple[yaml.SafeLoader, yaml.Node | None]:
    """The document's root, and what makes data of it; a mistake is told in the words of Python's own reader."""
    deepest = text.count("[") + text.count("{") + 2 * max(map(len, text.split("\n")))
    if deepest < _SHALLOW:
        with suppress(yaml.YAMLError):
            fast = _Fast(text)
            return fast, fast.get_single_node()
    loader = _Loader(text)
    return loader, loader.get_single_node()


def dump(data: Any) -> str:
    """A document that `parse` reads as the same data, keys in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def apply(change: str, data: Any, places: Places) -> None:
    """Put one `a.b=VALUE` of a command line into the document, and note that this is where the key comes from."""
    dotted, equals, value = change.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {change}: expected KEY=VALUE or KEY.KEY=VALUE")
    try:
        parsed = yaml.load(value, Loader=_Loader)  # noqa: S506 - it is a safe one
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
    """Remember where each key (or list item) of the document starts; a key given twice is an error.

    One that a merge brings is not given: its place is that of the merged text, unless it is overridden.
    """
    marks.setdefault(at, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        given = [(key, value) for key, value in node.value if key.tag != _MERGE]
        seen: set[Location] = set()
        for key, value in given:
            if not isinstance(key, yaml.ScalarNode):
                line, column = key.start_mark.line + 1, key.start_mark.column + 1
                raise UsageError(f"{name}:{line}:{column}: a key that is a list or has keys of its own")
            here = (*at, key.value)
            if here in seen:
                line, column = key.start_mark.line + 1, key.start_mark.column + 1
                raise UsageError(f"{name}:{line}:{column}: key '{key.value}' is given twice")
            seen.add(here)
            if here not in marks:  # of a merge, what comes first counts
                marks[here] = key.start_mark
                _collect_marks(value, here, marks, name)
        for merged in _merged(node):
            _collect_marks(merged, at, marks, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_marks(value, (*at, index), marks, name)


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """The mappings that a mapping merges, the one that counts most first."""
    for key, value in node.value:
        if key.tag == _MERGE:
            nodes: Sequence[yaml.Node] = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (each for each in nodes if isinstance(each, yaml.MappingNode))
