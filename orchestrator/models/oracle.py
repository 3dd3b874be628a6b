# SPDX-License-Identifier: Apache-2.0
"""The oracle: the guests' release of a runtime on the build computer, which says what is right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from orchestrator.build.run import CommandError, run
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models.dtypes import DTYPES
from orchestrator.models.expected import Expected, allowances
from orchestrator.registry import DEFAULT_RUNTIME, RUNTIMES
from orchestrator.schema.zoo import ModelDescription, TensorDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.build.builder import Builder
    from orchestrator.models.record import RunnerRecord
    from orchestrator.models.runtime import Execution, Runtime

_RUN_SECONDS = 600
_DESCRIBE_SECONDS = 60
OK = "ok"


@dataclass(frozen=True)
class Oracle:
    """A runtime on the build computer: its `program` of the same source, which says what is right.

    It is known by its `name`, so that a subject can be handed to another process.
    """

    name: str
    program: Path

    @property
    def runtime(self) -> Runtime:
        """The record."""
        found: Runtime = RUNTIMES[self.name]
        return found

    @classmethod
    def built(cls, builder: Builder, name: str = DEFAULT_RUNTIME) -> Oracle:
        """That of the runtime called `name`, built if need be."""
        runtime: Runtime = RUNTIMES[name]
        node = builder.graph.node(runtime.oracle_node)
        builder.build([node])
        return cls(name, builder.artifact(node) / runtime.program)

    def describe(self, model: Path, signature: str | None = None) -> ModelDescription:
        """Inputs and outputs of a model, by one of its signatures; raises UsageError if it is none."""
        words = [*self.runtime.describe(str(model)), *([signature] if signature is not None else [])]
        try:
            printed = run([self.program, *words], timeout=_DESCRIBE_SECONDS).stdout
        except CommandError as error:
            told = next((line for line in reversed(error.output.splitlines()) if line.strip()), error.message)
            why = told.strip().rpartition(f"{model}: ")[2]
            raise UsageError(f"{model}: no model that the runtime can execute: {why}") from None
        try:
            return ModelDescription.model_validate_json(printed)
        except ValidationError as error:
            raise UsageError(f"{model}: its description is not understood: {error.errors()[0]['msg']}") from None

    def run(self, what: Execution, *, seconds: float = _RUN_SECONDS, nice: int = 0) -> RunnerRecord:
        """Execute on this computer; raises WorkloadError, also if answers are missing. `nice` leaves it to others."""
        before = ["nice", "-n", str(nice)] if nice else []
        results = Path(what.results)
        results.unlink(missing_ok=True)
        self._ask(what, seconds, before)
        return self._record(results, what)

    def _record(self, path: Path, what: Execution) -> RunnerRecord:
        try:
            record = self.runtime.parse(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise WorkloadError(f"the oracle left no record: {error.strerror}") from None
        asked = what.iterations + what.warmups
        if len(record.iterations) != asked:
            raise WorkloadError(f"the oracle answered {len(record.iterations)} of {asked} inputs")
        return record

    def expect(
        self,
        what: Execution,
        description: ModelDescription,
        *,
        in_sequence: bool = False,
        seconds: float = _RUN_SECONDS,
    ) -> Expected:
        """What is right for an execution, and what may differ; `output` and `kernels` of it are chosen here.

        `in_sequence`: the model keeps state, so that there is an answer for each inference and not for each input.
        Raises WorkloadError if no kernel of the release can execute the model.
        """
        if not self.runtime.kernels:
            return _only_scores(self.run(replace(what, output="scores"), seconds=seconds), in_sequence=in_sequence)
        results = Path(what.results)
        asked = replace(what, output="raw", kernels=self.runtime.kernels)
        self._ask(asked, seconds)
        opinions, told = {}, {}
        for kernel in self.runtime.kernels:
            path = results.with_name(f"{results.name}.{kernel}")
            try:
                opinions[kernel] = self._record(path, asked)
                told[kernel] = OK
            except WorkloadError as error:
                told[kernel] = error.message.removeprefix("the runner failed: ").removeprefix(f"{what.model}: ")
            path.unlink(missing_ok=True)
        if not opinions:
            raise WorkloadError(f"the model does not run on this computer: {told[self.runtime.kernels[0]]}")
        answers = [_raw_of(record) for record in opinions.values()]
        release = str(next(iter(opinions.values())).end.get("runtime") or "") or None
        return Expected(
            outputs=description.outputs,
            answers=answers[0],
            allowances=allowances(description.outputs, answers),
            in_sequence=in_sequence,
            release=release,
            kernels=told,
        )

    def opine(self, what: Execution, expected: Expected) -> dict[str, Any]:
        """What this build, which is not the oracle, says of the same inputs: how far from it, or why it cannot."""
        try:
            record = self.run(replace(what, output="raw", kernels=()))
            difference, within = expected.beside(_raw_of(record))
        except (WorkloadError, ValueError) as error:
            return {"cannot": str(error).rpartition(f"{what.model}: ")[2]}
        return {"release": record.end.get("runtime"), "difference": difference, "within": within}

    def _ask(self, what: Execution, seconds: float, before: Sequence[str] = ()) -> None:
        try:
            run([*before, self.program, *self.runtime.argv(what)], timeout=seconds)
        except CommandError as error:
            raise WorkloadError(f"the model does not run on this computer: {error.output.strip() or error}") from None


def _raw_of(record: RunnerRecord) -> tuple[tuple[bytes, ...], ...]:
    return tuple(tuple(map(bytes.fromhex, output["raw"])) for output in record.outputs)


def _only_scores(record: RunnerRecord, *, in_sequence: bool) -> Expected:
    """What a runtime says that reads one output, and has one kernel only."""
    first = record.outputs[0]
    data = tuple((bytes.fromhex(output["scores_hex"]),) for output in record.outputs)
    if first["dtype"] not in DTYPES:
        raise WorkloadError(f"the model's output is {first['dtype']}: expected one of {', '.join(DTYPES)}")
    count = len(data[0][0]) // DTYPES[first["dtype"]].itemsize
    tensor = TensorDescription(
        name="scores",
        type=first["dtype"],
        shape=(1, count),
        bytes=len(data[0][0]),
        scale=first["scale"],
        zero_point=first["zero_point"],
    )
    return Expected((tensor,), data, allowances((tensor,), [data]), in_sequence)


def top1_of(output: Mapping[str, Any]) -> int | None:
    """The class that what was released names first, the lowest where scores are equal; None if it names none."""
    if "label" in output:
        return int(output["label"])
    if "top1" in output:
        return int(output["top1"][0])
    if "topk" in output:
        return int(output["topk"][0][0])
    if "scores_hex" not in output or output["dtype"] not in DTYPES:
        return None
    scores = np.frombuffer(bytes.fromhex(output["scores_hex"]), DTYPES[output["dtype"]])
    return int(np.argmax(scores))
