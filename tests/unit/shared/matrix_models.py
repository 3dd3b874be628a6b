# SPDX-License-Identifier: Apache-2.0
"""The models of the matrix on their way through the product: workload, inputs, oracle, command line, check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from models_matrix import CASES, Case

from orchestrator.experiment.gate import CountedExecution
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.prepare import Parts, Preparer, Subject, chosen
from orchestrator.models.checking import check_answers
from orchestrator.models.litert import RECORD
from orchestrator.models.oracle import Oracle
from orchestrator.models.record import RunnerRecord
from orchestrator.models.runtime import Execution
from orchestrator.runs.matrix import Cell, SubjectKey
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads

ROOT = Path(__file__).resolve().parents[3]
ITERATIONS, WARMUPS, RECORDS = 4, 1, 3
"""More inferences than inputs: what keeps state sees each of them, in this order."""


@dataclass(frozen=True)
class Prepared:
    """A model with all that a run knows of it."""

    case: Case
    cell: Cell
    subject: Subject
    workload: Workload

    def words(self, model: str, inputs: str, results: str) -> list[str]:
        """The runner's command line, with these files."""
        what = CountedExecution(
            self.cell, self.subject.deployable.opening, 1000, ITERATIONS, WARMUPS, self.top, seed=100
        )
        return RECORD.argv(
            Execution(
                model,
                inputs,
                results,
                ITERATIONS,
                self.cell.output,
                warmups=WARMUPS,
                top=self.top,
                base=1000,
                **what.asked(),
            )
        )

    @property
    def without_is_said(self) -> bool:
        """Whether a world is to say why it does without XNNPACK: it tried, and could not."""
        return self.case.not_on_arm or self.subject.expected.kernels["xnnpack"] != "ok"

    @property
    def top(self) -> int:
        return self.cell.top(self.workload) or 1

    def check(self, text: str) -> tuple[RunnerRecord, float]:
        """The record of an execution, when it is right; and the largest difference from the oracle."""
        record = RECORD.parse(text)
        assert len(record.iterations) == ITERATIONS + WARMUPS
        return record, check_answers(record, self.subject.expected, self.cell.reading_of(self.workload))


def workload_of(name: str, path: Path, **more: Any) -> Workload:
    """One that runs a single model of the matrix."""
    case = CASES[name]
    inputs: dict[str, Any] = {"count": RECORDS}
    if case.limits is not None:
        inputs["range"] = list(case.limits)
    model = {"name": name.replace("_", "-"), "path": str(path), "inputs": inputs, "output": case.output}
    if case.signature is not None:
        model["signature"] = case.signature
    rest = {"iterations": ITERATIONS, "warmups": WARMUPS, "top": 2}
    return loads(yaml.safe_dump({"name": "matrix", "models": [model], **rest, **more}), "w.yaml", Workload)


def prepare(name: str, oracle: Oracle, folder: Path, second: Oracle | None = None) -> Prepared:
    """Make the model's file in `folder`, and prepare it as `orch run` does; `second` is asked as well."""
    path = folder / f"{name}.tflite"
    path.write_bytes(CASES[name].make())
    workload = workload_of(name, path)
    (cell,) = cells_of(workload, folder)
    parts = Parts({}, {"litert": oracle}, chosen(ROOT, [cell]), {}, {}, {}, {"litert": second} if second else {})
    subjects = Preparer(parts, workload, folder, folder / "work").subjects()
    return Prepared(CASES[name], cell, subjects[SubjectKey.of(cell)], workload)


def lines(text: str) -> list[dict[str, Any]]:
    """The events of a record."""
    return [json.loads(line) for line in text.splitlines()]
