# SPDX-License-Identifier: Apache-2.0
"""Policy files: the one that is shipped for the emulated machine, and users' own."""

from __future__ import annotations

from pathlib import Path

from orchestrator.schema.attestation import AttestationPolicy
from orchestrator.schema.yamlfile import load

EMULATOR = Path(__file__).with_name("emulator.yaml")
"""What tokens are held against when no other policy is named."""


def read_policy(path: Path | None) -> AttestationPolicy:
    """A policy file, or the shipped one; raises UsageError with file, line and column of what is wrong in it."""
    return load(path or EMULATOR, AttestationPolicy)
