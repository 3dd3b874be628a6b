# SPDX-License-Identifier: Apache-2.0
"""Models and inputs of a workload, built and checked before any machine is booted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_BASE_MIB = 56
"""Of a guest: kernel, initrd, bounce buffers and the unpacked runtime (about 12 MiB)."""
_COPIES = 4
"""Of a model: its file in the guest's memory, its read copy, packed weights, and room for activations."""


@dataclass(frozen=True)
class Subject:
    """A model with its inputs as the runner takes them, the right classes if known, and the oracle's scores."""

    name: str
    quantization: str
    path: Path
    sha256: str
    trained: bool
    inputs: Path
    labels: tuple[int, ...]
    expected: tuple[dict[str, Any], ...]

    @property
    def needed_mib(self) -> int:
        """Roughly the smallest guest that it runs in, MiB."""
        return _BASE_MIB + (_COPIES * self.path.stat().st_size >> 20)


def build(*_: Any) -> Any:
    """To come."""
    raise NotImplementedError


prepare = build
