# SPDX-License-Identifier: Apache-2.0
"""law.yaml: what an exit costs by kind, world and component, as fitted; read by `orch predict` and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.schema.csvtable import Finite, Name
from orchestrator.schema.yamlfile import Strict, load
from orchestrator.words import Component, World

LAW = "exit-costs-1"
"""Name and version of the law: another one has other kinds, or another meaning of them."""
Kind = Literal["host tick", "guest tick", "second"]
_HEAD = "# SPDX-License-Identifier: Apache-2.0\n# Made by `make bench-law`; docs/analysis.md says what it means.\n"


class Rates(Strict):
    """How often things come in the machine's time: its shift and the ticks of its kernels."""

    icount_shift: int = Field(ge=0, le=10, description="2^shift ns of virtual time an instruction")
    host_hz: int = Field(ge=1)
    guest_hz: int = Field(ge=1)

    def each(self, kind: Kind) -> float:
        """Times that a kind occurs for each instruction that the machine executes, of whomever."""
        seconds = 1e-9 * (1 << self.icount_shift)
        return seconds * {"host tick": self.host_hz, "guest tick": self.guest_hz, "second": 1}[kind]

    @property
    def ticks(self) -> float:
        """Ticks of host and guest for each instruction."""
        return self.each("host tick") + self.each("guest tick")

    def __str__(self) -> str:
        """For people."""
        return f"shift {self.icount_shift}, {self.host_hz}/{self.guest_hz} Hz"


class Calibration(Strict):
    """A cell that the law was fitted to: its overhead as it was counted, and as the law has it from the others."""

    run_id: Name
    cell_id: Name
    model: Name = Field(description="with its number format")
    rates: Rates
    boots: int
    iterations: int
    measured: Finite = Field(description="the realm's overhead over the VM, as a part of the VM's")
    predicted: Finite | None = Field(
        description="the same, by the law of the cells with other rates, or else of all other cells; missing if they "
        "cannot tell"
    )


class Price(Strict):
    """What one occurrence of a kind makes a component execute, in instructions, with its 95 % interval."""

    world: World
    kind: Kind
    component: Component
    instructions: Finite
    low: Finite
    high: Finite


class Law(Strict):
    """Instructions of an inference = own work + instructions of the machine * Σ over kinds of rate * price."""

    law: Literal["exit-costs-1"] = "exit-costs-1"
    estimator: Name
    revision: str | None = Field(description="the checkout that counted")
    stacks: tuple[str, ...] = Field(description="SHA-256 of the stacks that were counted")
    cells: tuple[Calibration, ...]
    kinds: tuple[Kind, ...]
    prices: tuple[Price, ...]
    work: dict[str, Finite] = Field(description="own instructions of an inference at EL0 and EL1, by model")
    covariance: tuple[tuple[Finite, ...], ...] = Field(
        description="of the prices summed over components: kinds of the VM, then kinds of the realm"
    )
    error: Finite | None = Field(description="root mean square of (predicted - measured) / measured; None: one cell")
    freedom: int = Field(ge=0, description="cells that were predicted, less one")

    def total(self, world: World, kind: Kind) -> float:
        """The price of a kind in all components together."""
        return sum(each.instructions for each in self.prices if (each.world, each.kind) == (world, kind))


def read_law(path: Path) -> Law:
    """The law of a file; raises UsageError with place and key."""
    return load(path, Law)


def write_law(path: Path, law: Law) -> None:
    """Replace the file; raises UsageError if there can be none."""
    text = yaml.safe_dump(law.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
    try:
        replace_file(path, _HEAD + text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", hint="--save FILE") from None
