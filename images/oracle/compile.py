# SPDX-License-Identifier: Apache-2.0
"""Compile what the oracle loads, once: nobody writes to the cache later."""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path

import numpy as np
from oracle import answers, describe

WITHOUT_SOURCE = py_compile.PycInvalidationMode.UNCHECKED_HASH


def main() -> None:
    """Write a compiled file that needs no comparison with its source beside each loaded module; say the versions."""
    top = Path(describe.__file__).parents[1]
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    files |= {str(Path(describe.__file__).with_name("__main__.py"))}
    for file in sorted(Path(name) for name in files if name and name.endswith(".py")):
        if file != Path(__file__):
            inside = str(file.relative_to(top))  # the folder in which this is built goes away
            py_compile.compile(str(file), dfile=inside, doraise=True, invalidation_mode=WITHOUT_SOURCE)
    print(answers.RELEASE, np.__version__)  # noqa: T201 - the recipe keeps it


if __name__ == "__main__":
    main()
