# SPDX-License-Identifier: Apache-2.0
"""Runs that never ran: folders with samples of which the truth is known, shaped as the emulator's are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from orchestrator.schema.samples import PrivacyRow, SampleRow, append_privacy, append_samples

STARTED = "2026-01-31T12:00:00Z"
# Instructions that one exit costs, by component, and what the normal VM's exit costs.
REALM_EXIT = {"rmm": 14_000, "el3": 2_100, "host_kernel": 6_600, "vmm": 900}
VM_EXIT = {"rmm": 0, "el3": 0, "host_kernel": 5_600, "vmm": 500}
PAGE = {("realm", "realm_create"): 5_600, ("vm", "realm_create"): 2_200, ("realm", "teardown"): 4_800,
        ("vm", "teardown"): 970}  # fmt: skip
PHASES = {"read": 0.004, "infer": 1.0, "write": 0.003}  # of the model's instructions


@dataclass(frozen=True)
class Cell:
    """One point of the matrix; `user` is what an inference executes at EL0, in instructions."""

    cell_id: str = "mobilenet-int8-s3-1000-100"
    model: str = "mobilenet-v1-1.0-224"
    quantization: str = "int8"
    user: int = 240_000_000
    icount_shift: int | None = 3
    host_hz: int = 1000
    guest_hz: int = 100
    mem_mib: int = 256
    facts: dict[str, Any] = field(default_factory=dict, hash=False)  # more of it in run.yaml

    def exits(self, share: float) -> float:
        """Ticks of host and guest during a share of an inference, the expected number of exits."""
        seconds = self.user * 1.1 * share * 2 ** (self.icount_shift or 0) / 1e9
        return seconds * (self.host_hz + self.guest_hz)


QUIET = Cell("mobilenet-int8-s0-100-100", icount_shift=0, host_hz=100)
DEFAULT_CELLS = (Cell(), QUIET)


@dataclass(frozen=True)
class Plan:
    """What a synthetic run has: matrix, noise, and what went wrong."""

    name: str = "demo"
    cells: tuple[Cell, ...] = DEFAULT_CELLS
    worlds: tuple[str, ...] = ("host", "vm", "realm")
    boots: int = 4
    iterations: int = 6
    warmups: int = 2
    seed: int = 1
    boot_noise: float = 0.0005  # relative standard deviations of the guest's kernel and of exits
    noise: float = 0.002
    slowdown: float = 1.0  # of everything that the realm executes
    el0_off: int = 0  # what the realm executes more at EL0
    broken: tuple[tuple[str, str], ...] = ()  # (cell_id, world) that gave an error
    wrong: int = 0  # wrong answers of the realm
    margin: float = 0.02
    started_utc: str = STARTED
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return f"{self.name}-{self.started_utc.replace('-', '').replace(':', '')}-{self.seed:03d}abc"

    def but(self, **changes: Any) -> Plan:
        return replace(self, **changes)


def make_run(results: Path, plan: Plan | None = None, *, privacy: bool = True) -> Path:
    """Write a run's folder under `results`; returns it."""
    plan = plan or Plan()
    folder = results / plan.run_id
    folder.mkdir(parents=True)
    for cell in plan.cells:
        append_samples(folder / "samples.csv", list(_cell_rows(plan, cell)))
    if privacy:
        append_privacy(folder / "privacy.csv", [row for cell in plan.cells for row in _privacy_rows(plan, cell)])
    (folder / "run.yaml").write_text(yaml.safe_dump(_provenance(plan), sort_keys=False), encoding="utf-8")
    (folder / "events.jsonl").write_text('{"time": "t", "event": "boot", "seconds": 3.2}\n{"torn', encoding="utf-8")
    return folder


def _base(plan: Plan, cell: Cell, world: str) -> dict[str, Any]:
    return {
        "run_id": plan.run_id,
        "cell_id": cell.cell_id,
        "workload": plan.name,
        "model": cell.model,
        "model_sha256": hashlib.sha256(cell.model.encode()).hexdigest(),
        "quantization": cell.quantization,
        "world": world,
        "platform": "qemu",
        "platform_version": "qemu-10.0.13",
        "icount_shift": cell.icount_shift,
        "smp": 1,
        "mem_mib": cell.mem_mib,
        "host_hz": cell.host_hz,
        "guest_hz": cell.guest_hz,
        "stack_hash": hashlib.sha256(b"stack").hexdigest(),
        "seed": 7,
        "started_utc": plan.started_utc,
    }


def _cell_rows(plan: Plan, cell: Cell) -> Iterator[SampleRow]:
    random = np.random.default_rng([plan.seed, *cell.cell_id.encode()])
    for world in plan.worlds:
        base = _base(plan, cell, world)
        if (cell.cell_id, world) in plan.broken:
            yield _row(base, phase="infer", metric="instructions", value=None, status="error", boot_id=0,
                       note="the guest ended: <panic> & so on")  # fmt: skip
            continue
        for boot in range(plan.boots):
            yield from _boot_rows(plan, cell, base | {"boot_id": boot, "seed": 700 + boot}, random)


def _boot_rows(plan: Plan, cell: Cell, base: dict[str, Any], random: np.random.Generator) -> Iterator[SampleRow]:
    world = base["world"]
    shift = 1 + random.normal(0, plan.boot_noise)
    if world == plan.worlds[0]:  # the machine's own
        yield _row(base, world="host", phase="boot", metric="duration", value=4.5, unit="s", method="host_clock")
    if world != "host":
        pages = cell.mem_mib * 256
        yield _row(base, phase="realm_create", metric="pages", value=pages, method="procfs")
        yield _row(
            base, phase="realm_create", metric="granules", value=pages if world == "realm" else 0, method="procfs"
        )
        for phase in ("realm_create", "teardown"):
            total = round(pages * PAGE[world, phase] * (1 + random.normal(0, plan.noise)))
            rmm = total // 3 if world == "realm" else 0
            yield from _counts(base, phase, {"rmm": rmm, "host_kernel": total - rmm})
        yield from _counts(base, "boot", {"guest_kernel": 46_000_000, "guest_user": 20_000_000})
        yield _row(base, phase="infer", metric="exits_mmio_read", value=5000 + boot_of(base), method="procfs")
        yield _row(base, phase="infer", metric="exits_irq", value=40 if world == "realm" else 0, method="procfs")
    yield from _iteration(plan, cell, base | {"phase": "load"}, 0.02, shift, random)
    yield _row(
        base, phase="infer", component="guest_user", metric="peak_rss", value=31_000, unit="KiB", method="procfs"
    )
    for k in range(plan.warmups + plan.iterations):
        at = base | {"iteration": k, "is_warmup": k < plan.warmups}
        for phase, share in PHASES.items():
            yield from _iteration(plan, cell, at | {"phase": phase}, share, shift, random)
        wrong = world == "realm" and boot_of(base) == 0 and plan.warmups <= k < plan.warmups + plan.wrong
        yield _row(at, phase="write", metric="correct", value=int(not wrong), method="procfs",
                   status="failed" if wrong else "ok")  # fmt: skip


def boot_of(base: dict[str, Any]) -> int:
    return int(base["boot_id"])


def _iteration(  # noqa: PLR0917
    plan: Plan, cell: Cell, at: dict[str, Any], share: float, shift: float, random: np.random.Generator
) -> Iterator[SampleRow]:
    """One phase of one iteration: the guest's own work, and what its exits cost."""
    world = at["world"]
    # The first iterations touch new memory; inputs differ a little.
    user = round(cell.user * share) + 17 * (at.get("iteration") or 0) % 101
    kernel = round(user * 0.1 * shift * (1 + random.normal(0, plan.noise)))
    exits = max(1, round(cell.exits(share) * shift * (1 + random.normal(0, plan.noise))))
    cost = REALM_EXIT if world == "realm" else VM_EXIT
    counts = {"guest_user": user + (plan.el0_off if world == "realm" else 0), "guest_kernel": kernel}
    if world == "host":
        counts = {
            "guest_user": user,
            "guest_kernel": 0,
            "rmm": 0,
            "el3": 0,
            "host_kernel": kernel + exits * 2_000,
            "vmm": 0,
        }
    else:
        counts |= {part: round(exits * each) for part, each in cost.items()}
        yield _row(at, metric="exits", value=exits)
        yield _row(at, metric="host_exits", value=exits)
    if world == "realm":
        counts = {part: round(count * plan.slowdown) for part, count in counts.items()}
    yield from _counts(at, at["phase"], counts)
    yield _row(at, metric="duration", value=sum(counts.values()) * 2 ** (cell.icount_shift or 0), unit="ns",
               method="guest_clock")  # fmt: skip


def _counts(base: dict[str, Any], phase: str, counts: dict[str, int]) -> Iterator[SampleRow]:
    names = ("guest_user", "guest_kernel", "rmm", "el3", "host_kernel", "vmm")
    full = {name: counts.get(name, 0) for name in names}
    for component, value in ({"all": sum(full.values())} | full).items():
        absent = base["world"] == "host" and component in {"guest_kernel", "vmm"}
        if not absent:
            yield _row(base, phase=phase, component=component, metric="instructions", value=value)


def _row(base: dict[str, Any], **changes: Any) -> SampleRow:
    standard = {"component": "all", "unit": "1", "method": "tcg_plugin"}
    return SampleRow.model_validate(standard | base | changes)


def _privacy_rows(plan: Plan, cell: Cell) -> Iterator[PrivacyRow]:
    def row(world: str, value: float, **more: Any) -> PrivacyRow:
        facts = {
            "run_id": plan.run_id, "cell_id": cell.cell_id, "attack": "memory-scan", "world": world,
            "model": cell.model, "quantization": cell.quantization, "metric": "blocks_recovered",
            "value": value, "unit": "1", "attempted": 4096, "access": "weights",
        }  # fmt: skip
        return PrivacyRow.model_validate(facts | more)

    for world, value in (("host", 1.0), ("vm", 0.998), ("realm", 0.0)):
        if world in plan.worlds:
            yield row(world, value, verdict="exposed" if value else "protected", ci_low=max(0.0, value - 0.001),
                      ci_high=min(1.0, value + 0.0009))  # fmt: skip
    yield row("realm", 1.0, control=True, in_verdict=False, note="the emulator's own view finds the model")
    yield row("realm", 1.0, attack="dma", metric="pages_overwritten", in_verdict=False,
              note="emulated devices bypass granule checks")  # fmt: skip


COST = {
    "wall_s": 250.0,
    "emulation_s": 231.5,
    "orchestration_s": 18.5,
    "build_s": 0.0,
    "parts": {"boot": 31.0, "measure": 170.5, "guest-start": 30.0},
}


def _provenance(plan: Plan) -> dict[str, Any]:
    cells = [
        {
            "cell_id": cell.cell_id, "model": cell.model, "quantization": cell.quantization, "trained": True,
            "output": "top1", "threads": 1, "pretouch": True, "model_bytes": 4_276_000,
            "model_sha256": hashlib.sha256(cell.model.encode()).hexdigest(),
            "icount_shift": cell.icount_shift, "host_hz": cell.host_hz, "guest_hz": cell.guest_hz, **cell.facts,
        }
        for cell in plan.cells
    ]  # fmt: skip
    steps = [
        {
            "key": f"{cell.cell_id}/{world}/{boot}", "cell_id": cell.cell_id, "world": world, "boot_id": boot,
            "status": "error" if (cell.cell_id, world) in plan.broken else "ok",
            "note": "the guest ended: <panic> & so on" if (cell.cell_id, world) in plan.broken else None,
        }
        for cell in plan.cells for world in plan.worlds for boot in range(plan.boots)
    ]  # fmt: skip
    return {
        "schema_version": 1,
        "run_id": plan.run_id,
        "name": plan.name,
        "started_utc": plan.started_utc,
        "ended_utc": "2026-01-31T12:04:10Z",
        "status": "error" if plan.broken else "ok",
        "workload": {"name": plan.name, "boots": plan.boots, "iterations": plan.iterations, "warmups": plan.warmups},
        "testbed": {"name": "testbed", "machine": {"platform": "qemu", "type": "virt-10.0"}},
        "artifacts": {
            name: hashlib.sha256(name.encode()).hexdigest() for name in ("firmware", "kernel", "qemu", "rmm")
        },
        "tools": {"orch": "0.1.0", "qemu": "10.0.13", "python": "3.11.7"},
        "git": {"revision": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "resumed": [{"utc": "2026-01-31T12:02:00Z", "revision": "89abcdef", "dirty": True}],
        "host": {"cpu": "x86-64", "cores": 2, "memory_mib": 16000, "os": "Debian 12"},
        "cost": COST | {"steps": len(steps)},
        "cells": cells,
        "steps": steps,
        "margin": plan.margin,
        **plan.extra,
    }
