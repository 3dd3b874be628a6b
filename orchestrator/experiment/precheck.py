# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a workload beyond its schema: names of the zoo, files, and what the testbed cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.experiment.zoo import Zoo, check_tflite
from orchestrator.schema.testbed import Guest
from orchestrator.schema.workload import OwnModel
from orchestrator.schema.yamlfile import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.schema.testbed import TestbedConfig
    from orchestrator.schema.workload import Workload


def mistakes(workload: Workload, zoo: Zoo, config: TestbedConfig, folder: Path) -> Iterator[Mistake]:
    """All that can be seen without building anything; the workload's own files are relative to `folder`."""
    yield from _in_models(workload, zoo, folder)
    for index, path in enumerate(workload.inputs.files):
        if not (folder / path).is_file():
            yield Mistake(("inputs", "files", index), f"{folder / path}: no such file")
    yield from _in_guests(workload, config)


def _in_models(workload: Workload, zoo: Zoo, folder: Path) -> Iterator[Mistake]:
    for index, model in enumerate(workload.models):
        try:
            if isinstance(model, OwnModel):
                check_tflite(folder / model.path)
                continue
            for quantization in workload.quantization:
                zoo.file_of(model, quantization)
        except UsageError as error:
            own = ("path",) if isinstance(model, OwnModel) else ()
            yield Mistake(("models", index, *own), error.message, error.hint)


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
