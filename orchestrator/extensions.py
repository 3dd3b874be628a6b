# SPDX-License-Identifier: Apache-2.0
"""Files outside the package that register records: attacks, protections, phases, metrics, runtimes, platforms.

`ORCH_EXTENSIONS` names them, separated as in PATH. Each is read once, before anything else is looked at, in every
process of a run; a run writes down which they were (`provenance.extension_facts`).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from orchestrator.errors import OrchError, UsageError

VARIABLE = "ORCH_EXTENSIONS"
_PREFIX = "orch_extension_"


def paths() -> list[Path]:
    """The files that are named, in order."""
    return [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]


def load() -> None:
    """Read the files that are named and were not read yet; raises UsageError for one that cannot be, or fails."""
    for path in paths():
        name = _PREFIX + path.stem
        if getattr(sys.modules.get(name), "__file__", None) == str(path):
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise UsageError(f"{VARIABLE}: {path}: no such Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except OrchError as error:
            raise UsageError(f"{VARIABLE}: {path}: {error.message}", hint=error.hint) from None
        except Exception as error:
            raise UsageError(f"{VARIABLE}: {path}: {type(error).__name__}: {error}") from error
