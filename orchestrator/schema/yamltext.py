# SPDX-License-Identifier: Apache-2.0
"""YAML text as nodes and as data: by libyaml where that is safe, which takes a seventh of what Python's reader does."""

from __future__ import annotations

from typing import Any

import yaml

# libyaml ends the process where a document is too deep. A level takes a bracket, or a column of some line.
_SHALLOW = 500


def compose(text: str) -> tuple[yaml.Node | None, Any]:
    """The document's root (None: it is empty) and its data; raises YAMLError, ValueError or RecursionError."""
    if yaml.__with_libyaml__ and _deepest(text) < _SHALLOW:
        try:
            return _by(yaml.CSafeLoader(text))
        except yaml.YAMLError:
            pass  # Python's own reader has the better words for it
    return _by(yaml.SafeLoader(text))


def data_of(text: str) -> Any:
    """The document's data; None if it is empty. Raises what `compose` does."""
    return compose(text)[1]


def _by(loader: yaml.SafeLoader | yaml.CSafeLoader) -> tuple[yaml.Node | None, Any]:
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _deepest(text: str) -> int:
    """No less than how deep the document is."""
    return text.count("[") + text.count("{") + 2 * max(map(len, text.split("\n")))
