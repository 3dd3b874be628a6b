# SPDX-License-Identifier: Apache-2.0
"""What stands at the head of a page about a run."""

from __future__ import annotations

from orchestrator.report.model import Word
from orchestrator.runs.run_file import RunFile
from orchestrator.words import Status


def subtitle(info: RunFile) -> str:
    """When, and of which revision."""
    revision = (info.git.revision or "unknown revision")[:12] + (" with changes" if info.git.dirty else "")
    return " \u00b7 ".join(part for part in (info.run_id, info.started_utc, revision) if part)


def status_word(info: RunFile) -> Word:
    """The run's status with its tone."""
    tones = {str(Status.OK): "good", "running": "warn", "unknown": "warn"}
    return Word(info.status, tones.get(info.status, "bad"))
