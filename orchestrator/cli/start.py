# SPDX-License-Identifier: Apache-2.0
"""What the program `orch` begins with: Ctrl-C while Python still reads the command line's modules is no traceback."""

from __future__ import annotations

import sys

from orchestrator.errors import INTERRUPTED


def entry() -> None:
    """Run `orch`."""
    try:
        from orchestrator.cli.main import entry as run  # noqa: PLC0415 - this is what takes its time
    except KeyboardInterrupt:
        sys.stderr.write("orch: interrupted\n")
        sys.exit(INTERRUPTED)
    run()
