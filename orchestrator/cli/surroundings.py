# SPDX-License-Identifier: Apache-2.0
"""What programs expect of a user's surroundings, and not every user has."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

from orchestrator.build.cache import default_cache
from orchestrator.errors import EnvError

_VARIABLE = "MPLCONFIGDIR"


def open_streams() -> None:
    """Have descriptors 0 to 2 open: else the next file that is opened gets the number, and what is printed."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - a number


def settle_drawing() -> None:
    """Name a folder for matplotlib's settings: it looks for a home, and fails or complains where there is none."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it makes itself a folder where that cannot be written to
    if os.environ.get(_VARIABLE):
        return
    try:
        folder = default_cache() / "matplotlib"
    except EnvError:
        folder = Path(tempfile.gettempdir()) / f"orch-matplotlib-{os.getuid()}"
    os.environ[_VARIABLE] = str(folder)
