# SPDX-License-Identifier: Apache-2.0
"""Observations become rows of samples.csv and privacy.csv, with everything a row says of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.runs.events import utc_now
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.observation import Observation
from orchestrator.runs.shard import PRIVACY, SAMPLES
from orchestrator.schema import samples
from orchestrator.schema.samples import PrivacyRow, SampleRow
from orchestrator.schema.workload import machine_seed
from orchestrator.words import BOOT, INFER, Component, Method, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.runs.matrix import Step
    from orchestrator.runs.shard import Shard


@dataclass(frozen=True)
class RowFacts:
    """What all rows of a boot say of where they come from; `model_sha256` by what is deployed."""

    run_id: str
    boot_id: int
    workload: str
    seed: int  # of the workload
    platform: str
    platform_version: str
    stack_hash: str
    model_sha256: Mapping[SubjectKey, str]
    host_cpus: int  # of a machine that is not deterministic


@dataclass
class RowMaker:
    """Writes the rows of one boot into its shard, whose moment they all carry."""

    shard: Shard
    facts: RowFacts
    began: str = field(default_factory=utc_now)

    def booted(self, step: Step, seconds: float) -> None:
        """A machine came up: the harness's own time, with the boot's first cell. The machine's world is the host."""
        row = Observation(BOOT, Component.ALL, "duration", seconds, Method.HOST_CLOCK)
        self._append(replace(step, world=World.HOST), [row])
        self.shard.written()

    def life(self, step: Step, observations: Iterable[Observation]) -> None:
        """What creation, boot and end of a guest cost; written with the first cell that was measured in it."""
        self._append(step, observations)
        self.shard.written()

    def step(self, step: Step, observations: Iterable[Observation], note: str | None = None) -> None:
        """All that a step measured; `note` is a word on all of it."""
        self._append(step, observations, note=note)

    def attack(self, rows: Sequence[PrivacyRow]) -> None:
        """What an attack gave."""
        samples.append_privacy(self.shard.folder / PRIVACY, rows)

    def failed(self, step: Step, status: str, note: str, boot_id: int | None = None) -> None:
        """One row without a value says what became of a step, in an earlier boot if `boot_id` is another's."""
        row = Observation(INFER, Component.ALL, "instructions", 0, Method.TCG_PLUGIN)
        boot = {} if boot_id is None else {"boot_id": boot_id}
        self._append(step, [row], status=status, note=note, **boot)

    def _append(
        self,
        step: Step,
        observations: Iterable[Observation],
        status: str = "ok",
        note: str | None = None,
        **others: int,
    ) -> None:
        shared = self._shared(step) | {"status": status} | others
        rows = (
            SampleRow(**shared, **_own(each, valued=status == "ok"), note=note or each.note) for each in observations
        )
        samples.append_samples(self.shard.folder / SAMPLES, rows)

    def _shared(self, step: Step) -> dict[str, Any]:
        cell, machine, facts = step.cell, step.cell.machine, self.facts
        vcpus = 1 if machine.deterministic else facts.host_cpus
        return {
            "run_id": facts.run_id,
            "cell_id": cell.cell_id,
            "boot_id": facts.boot_id,
            "workload": facts.workload,
            "model": cell.model,
            "model_sha256": facts.model_sha256[SubjectKey.of(cell)],
            "quantization": cell.quantization,
            "runtime": cell.runtime,
            "protection": cell.protection,
            "world": step.world,
            "platform": facts.platform,
            "platform_version": facts.platform_version,
            "icount_shift": machine.timing.shift if machine.deterministic else None,
            "smp": vcpus if step.world == World.HOST else cell.guest.vcpus,
            "mem_mib": cell.guest.memory_mib,
            "host_hz": machine.ticks.host_hz,
            "guest_hz": machine.ticks.guest_hz,
            "stack_hash": facts.stack_hash,
            "seed": machine_seed(facts.seed, step.boot) if machine.deterministic else None,
            "started_utc": self.began,
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
