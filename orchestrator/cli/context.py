# SPDX-License-Identifier: Apache-2.0
"""What every command needs: options given before the command, and the testbed they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.progress import PlainProgress, TerminalProgress, make_progress

if TYPE_CHECKING:
    from orchestrator.testbed.project import Project
    from orchestrator.testbed.testbed import Testbed


@dataclass
class Context:
    """Global options; the project is read when first asked for."""

    testbed_file: Path | None = None
    debug: bool = False
    frozen: bool = False

    @cached_property
    def progress(self) -> PlainProgress | TerminalProgress:
        """Where stages are shown."""
        return make_progress()

    @cached_property
    def project(self) -> Project:
        """The checkout and its testbed file."""
        from orchestrator.testbed.project import Project  # noqa: PLC0415 - `orch --help` should not load pydantic

        return Project.open(self.testbed_file)

    @cached_property
    def testbed(self) -> Testbed:
        """The testbed of the project."""
        from orchestrator.testbed.testbed import Testbed  # noqa: PLC0415

        return Testbed(self.project, self.progress, frozen=self.frozen)


pass_context = click.make_pass_decorator(Context, ensure=True)
