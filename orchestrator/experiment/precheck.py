# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a workload beyond its schema: names of the zoo, files, and what the testbed cannot do."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.experiment.collect import CALIBRATIONS
from orchestrator.experiment.plan import file_quantization
from orchestrator.machine.platform import Capability
from orchestrator.models.zoo import Zoo
from orchestrator.privacy.attack import find_attack
from orchestrator.registry import PLATFORMS, PROTECTIONS, RUNTIMES
from orchestrator.schema.testbed import Guest
from orchestrator.schema.workload import Inputs, OwnModel
from orchestrator.schema.yamlfile import Mistake
from orchestrator.schema.yamltext import Location
from orchestrator.words import Owner, phases_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.machine.platform import Platform
    from orchestrator.models.runtime import Runtime
    from orchestrator.schema.testbed import TestbedConfig
    from orchestrator.schema.workload import Workload


def mistakes(workload: Workload, zoo: Zoo, config: TestbedConfig, folder: Path) -> Iterator[Mistake]:
    """All that can be seen without building anything; the workload's own files are relative to `folder`."""
    yield from _in_models(workload, zoo, folder)
    yield from _in_inputs(workload.inputs, ("inputs",), folder)
    yield from _in_preparation(workload)
    yield from _in_protection(workload)
    yield from _in_guests(workload, config)
    yield from _in_markers(workload, config)
    for index, attack in enumerate(workload.attacks):
        worlds = find_attack(attack).worlds
        if not set(worlds) & set(workload.worlds):
            where = " and ".join(world.label for world in worlds)
            yield Mistake(("attacks", index), f"{attack} is done in the {where} only, and `worlds` has none")
    for index, timing in enumerate(workload.timing):
        cpus = config.machine.deterministic.cpus
        if timing.mode == "deterministic" and cpus > 1:
            text = f"the testbed file's machine.deterministic.cpus is {cpus}, and only 1 CPU can be counted"
            yield Mistake(("timing", index), text, "docs/counting.md says why")


def _in_inputs(inputs: Inputs, at: Location, folder: Path) -> Iterator[Mistake]:
    """Files that are not there."""
    groups: list[tuple[Location, tuple[Path, ...]]] = [((), inputs.files)]
    groups += [(("tensors", name), feed.files) for name, feed in inputs.tensors.items()]
    for key, paths in groups:
        for index, path in enumerate(paths):
            if not (folder / path).is_file():
                yield Mistake((*at, *key, "files", index), f"{folder / path}: no such file", alone=True)


def _in_preparation(workload: Workload) -> Iterator[Mistake]:
    """Pixels are prepared as the workload says for models of the user's only."""
    zoos = [model for model in workload.models if not isinstance(model, OwnModel)]
    for key in ("mean", "std", "preprocess") if zoos else ():
        if getattr(workload.inputs, key) != getattr(Inputs(), key):
            yield Mistake(
                ("inputs", key),
                f"model {zoos[0]} of the zoo has its own; it is for your own models",
                "leave it out, or run your own models in a workload of theirs",
            )


def _in_protection(workload: Workload) -> Iterator[Mistake]:
    """Each runtime must be able to open what each protection delivers."""
    for (index, protection), runtime in itertools.product(enumerate(workload.protection), workload.runtime):
        lacks = PROTECTIONS[protection].needs - RUNTIMES[runtime].options
        if lacks:
            text = f"{protection} needs {', '.join(sorted(lacks))} of a runtime, and {runtime} does not know it"
            yield Mistake(("protection", index), text, "another `runtime`, or a workload of its own")


def _in_models(workload: Workload, zoo: Zoo, folder: Path) -> Iterator[Mistake]:
    for index, model in enumerate(workload.models):
        try:
            if isinstance(model, OwnModel):
                yield from _in_own(model, workload, ("models", index), folder)
                continue
            for quantization in workload.quantization:
                zoo.file_of(model, quantization)
        except UsageError as error:
            own = ("path",) if isinstance(model, OwnModel) else ()
            yield Mistake(("models", index, *own), error.message, error.hint, alone=isinstance(model, OwnModel))


def _in_markers(workload: Workload, config: TestbedConfig) -> Iterator[Mistake]:
    """A boot may not make more markers than the counter holds: the last inferences would have no counts."""
    platform: Platform = PLATFORMS[config.machine.platform]
    if Capability.COUNT not in platform.capabilities:
        return
    steps = _steps_of_a_boot(workload)
    for timing in workload.timing:
        cpus = config.machine.deterministic.cpus if timing.mode == "deterministic" else config.machine.cpus
        limit = platform.marker_limit(cpus)
        fixed, each = markers_of_a_step()
        needed = steps * (fixed + each * (workload.iterations + workload.warmups))
        if limit is not None and needed > limit:
            most = max(0, (limit // steps - fixed) // each - workload.warmups)
            text = f"{needed:,} markers in a boot of {steps} steps, and the counter holds {limit:,}"
            yield Mistake(
                ("iterations",), text, f"{most:,} iterations at most, or fewer cells and worlds, or more boots"
            )
            return


def _steps_of_a_boot(workload: Workload) -> int:
    """Cells of one machine, each in all worlds."""
    quantizations, outputs = len(workload.quantization), len(workload.output)
    models = sum(
        (outputs if model.output is None else 1) if isinstance(model, OwnModel) else quantizations * outputs
        for model in workload.models
    )
    axes = (workload.runtime, workload.protection, workload.threads, workload.memory_mib)
    cells = models * len(workload.pretouch) * math.prod(len(axis) for axis in axes)
    return cells * len(workload.worlds)


def markers_of_a_step() -> tuple[int, int]:
    """How many markers a step makes at most, whatever its inferences, and how many an inference makes."""
    phases = phases_of(Owner.STEP)
    repeated = sum(phase.repeats for phase in phases)
    lives = len(phases_of(Owner.GUEST)) + 1  # of a guest; the gate's own
    return 2 * (CALIBRATIONS + len(phases) - repeated + lives), 2 * repeated


def _in_own(model: OwnModel, workload: Workload, at: Location, folder: Path) -> Iterator[Mistake]:
    """A file that is no model, or another one than is said; raises UsageError for what makes all else useless."""
    if model.inputs is not None:
        yield from _in_inputs(model.inputs, (*at, "inputs"), folder)
    for name in workload.runtime:
        runtime: Runtime = RUNTIMES[name]
        runtime.check(folder / model.path)
        found = file_quantization(model.name, folder / model.path, name) if model.quantization is None else None
        anatomy = runtime.anatomy(folder / model.path) if found is None else None
        if anatomy is not None and anatomy.quantization != model.quantization:
            text = f"said to be {model.quantization}, and {model.path} is {anatomy.quantization}"
            yield Mistake((*at, "quantization"), text, "leave it out: it is read from the file", alone=True)


def _in_guests(workload: Workload, config: TestbedConfig) -> Iterator[Mistake]:
    """What the testbed file rules out for guests, which would otherwise be found when one is started."""
    guests = [world for world in workload.worlds if world != "host"]
    vmm, stack = config.stack.vmm, config.stack
    for index, memory in enumerate(workload.memory_mib if guests else ()):
        try:
            Guest.model_validate(config.guest.model_dump() | {"memory_mib": memory, "vcpus": workload.vcpus})
        except ValidationError as error:
            text = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            yield Mistake(("memory_mib", index), f"{text} (guest section of the testbed file)")
    if "realm" in guests and stack.host_kernel is not None:
        text = "the realm's driver fits our own host kernel only, and the testbed file's stack.host_kernel replaces it"
        yield Mistake(("worlds", workload.worlds.index("realm")), text)
    if vmm is not None and True in workload.pretouch and set(guests) & set(vmm.worlds):
        text = "the testbed file's stack.vmm does not know it; say `pretouch: false`"
        yield Mistake(("pretouch", workload.pretouch.index(True)), text)
