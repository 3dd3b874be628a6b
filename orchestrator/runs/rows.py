# SPDX-License-Identifier: Apache-2.0
"""Observations become rows of samples.csv and privacy.csv, with everything a row says of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.runs.journal import PRIVACY, SAMPLES, Journal, utc_now
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.observation import Observation
from orchestrator.schema import samples
from orchestrator.schema.samples import PrivacyRow, SampleRow
from orchestrator.schema.workload import machine_seed
from orchestrator.words import BOOT, INFER, Component, Method, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.runs.matrix import MachineKind, Step


@dataclass
class RowMaker:
    """Writes the rows of one run; `stack_hash` by kind of machine, `model_sha256` by what is deployed."""

    journal: Journal
    workload: str
    seed: int  # of the workload
    platform_version: str
    stack_hash: dict[MachineKind, str]
    model_sha256: dict[SubjectKey, str]
    host_cpus: int  # of a machine that is not deterministic
    _booted: dict[int, str] = field(default_factory=dict)

    def booting(self, boot_id: int) -> None:
        """A machine is about to be booted: the moment that all rows of this boot carry."""
        self._booted[boot_id] = utc_now()

    def booted(self, step: Step, boot_id: int, seconds: float) -> None:
        """A machine came up: the harness's own time, with the boot's first cell. The machine's world is the host."""
        row = Observation(BOOT, Component.ALL, "duration", seconds, Method.HOST_CLOCK)
        self._append(replace(step, world=World.HOST), boot_id, [row])
        self.journal.written(self.journal.sizes())

    def life(self, step: Step, boot_id: int, observations: Iterable[Observation]) -> None:
        """What creation, boot and end of a guest cost; written with the first cell that was measured in it."""
        self._append(step, boot_id, observations)
        self.journal.written(self.journal.sizes())

    def step(self, step: Step, boot_id: int, observations: Iterable[Observation]) -> None:
        """All that a step measured."""
        self._append(step, boot_id, observations)

    def attack(self, rows: Sequence[PrivacyRow]) -> None:
        """What an attack gave."""
        samples.append_privacy(self.journal.folder / PRIVACY, rows)

    def failed(self, step: Step, boot_id: int, status: str, note: str) -> None:
        """One row without a value says what became of a step."""
        row = Observation(INFER, Component.ALL, "instructions", 0, Method.TCG_PLUGIN)
        self._append(step, boot_id, [row], status=status, note=note)

    def _append(
        self, step: Step, boot_id: int, observations: Iterable[Observation], status: str = "ok", note: str | None = None
    ) -> None:
        shared = self._shared(step, boot_id) | {"status": status}
        rows = [
            SampleRow(**shared, **_own(each, valued=status == "ok"), note=note or each.note) for each in observations
        ]
        samples.append_samples(self.journal.folder / SAMPLES, rows)

    def _shared(self, step: Step, boot_id: int) -> dict[str, Any]:
        cell, machine = step.cell, step.cell.machine
        vcpus = 1 if machine.deterministic else self.host_cpus
        return {
            "run_id": self.journal.run_id,
            "cell_id": cell.cell_id,
            "boot_id": boot_id,
            "workload": self.workload,
            "model": cell.model,
            "model_sha256": self.model_sha256[SubjectKey.of(cell)],
            "quantization": cell.quantization,
            "runtime": cell.runtime,
            "protection": cell.protection,
            "world": step.world,
            "platform": "qemu",
            "platform_version": self.platform_version,
            "icount_shift": machine.timing.shift if machine.deterministic else None,
            "smp": vcpus if step.world == World.HOST else cell.guest.vcpus,
            "mem_mib": cell.guest.memory_mib,
            "host_hz": machine.ticks.host_hz,
            "guest_hz": machine.ticks.guest_hz,
            "stack_hash": self.stack_hash[machine],
            "seed": machine_seed(self.seed, step.boot) if machine.deterministic else None,
            "started_utc": self._booted.get(boot_id) or utc_now(),
        }


def _own(each: Observation, *, valued: bool) -> dict[str, Any]:
    return {
        "iteration": each.iteration,
        "is_warmup": each.is_warmup,
        "phase": each.phase,
        "component": each.component,
        "metric": each.metric,
        "value": each.value if valued else None,
        "unit": each.unit,
        "method": each.method,
    }
