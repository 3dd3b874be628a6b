# SPDX-License-Identifier: Apache-2.0
"""Attestation reports asked for in a guest's own shell, beside what `attestd` does with them."""

from __future__ import annotations

import base64

REPORTS = "/sys/kernel/config/tsm/report"


def write_challenge(challenge: bytes, file: str) -> str:
    """Shell that writes it at once."""
    encoded = base64.b64encode(challenge).decode()
    return f"echo {encoded} | base64 -d | dd of={file} bs=64 count=1 iflag=fullblock 2>/dev/null"


def fetch(name: str, challenge: bytes) -> str:
    """Shell that prints a token from the kernel's driver."""
    report = f"{REPORTS}/{name}"
    return (
        f"mkdir {report} && {write_challenge(challenge, report + '/inblob')} && base64 {report}/outblob; rmdir {report}"
    )
