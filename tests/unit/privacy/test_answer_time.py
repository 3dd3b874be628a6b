# SPDX-License-Identifier: Apache-2.0
"""From samples.csv to rows: which input an iteration was, what a host sees of it, and when there is nothing to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.privacy.answer_time import observe
from orchestrator.privacy.offline import attack_run
from orchestrator.runs.reading import load_run
from orchestrator.schema.samples import PrivacyRow, SampleRow, append_samples

INPUTS, WARMUPS, ROUNDS = 4, 3, 4
BASE: dict[str, Any] = {
    "run_id": "run-x",
    "cell_id": "cell-x",
    "workload": "run",
    "model": "cnn",
    "quantization": "int8",
    "component": "all",
    "unit": "1",
    "method": "tcg_plugin",
    "platform": "qemu",
    "platform_version": "qemu-10.0.13",
    "smp": 1,
    "mem_mib": 128,
    "host_hz": 100,
    "guest_hz": 100,
    "stack_hash": "ab" * 32,
    "started_utc": "2026-01-31T12:00:00Z",
}
Cost = Callable[[int, int, int], int]


def noise(seed: int) -> int:
    """Numbers without a rhythm, the same each time."""
    return seed * 2654435761 % 997


def nothing(_place: int, _boot: int, _step: int) -> int:
    return 0


class Run:
    """A finished run of one cell in a VM and a realm; what an inference costs there is said by functions.

    They are given the place among the inferences that count (negative: a warm-up), the boot and the iteration.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self.facts: dict[str, Any] = {
            "run_id": "run-x",
            "status": "ok",
            "workload": {"seed": 3, "inputs": {"count": INPUTS}},
            "cells": [{"cell_id": "cell-x", "output": "label", "inputs": INPUTS}],
        }
        self.released: list[Any] = []
        self.iterations = INPUTS * ROUNDS
        self.boots = 2
        self.exits = True
        self.read: Callable[[int], int] = lambda _place: 0

    def attacked(self, **costs: Cost) -> dict[tuple[str, str], PrivacyRow]:
        """`infer` (EL0), `host` (host kernel) and `calls` (exits) in the realm; the VM's never depend on the input."""
        self.results.mkdir(exist_ok=True)
        folder = self.results / f"run-{len(list(self.results.iterdir()))}"
        folder.mkdir()
        rows = [row for boot in range(self.boots) for row in self._boot(boot, costs)]
        append_samples(folder / "samples.csv", rows)
        (folder / "run.yaml").write_text(yaml.safe_dump(self.facts), encoding="utf-8")
        if self.released:
            (folder / "outputs").mkdir()
            text = "".join(json.dumps(each) + "\n" for each in self.released)
            (folder / "outputs" / "cell-x.jsonl").write_text(text, encoding="utf-8")
        found, _ = attack_run(folder, ["answer-time"])
        self.csv = (folder / "privacy.csv").read_bytes()
        return {(row.world, row.metric): row for row in found}

    def _boot(self, boot: int, costs: dict[str, Cost]) -> list[SampleRow]:
        rows = []
        for step in range(WARMUPS + self.iterations):
            for world in ("vm", "realm"):
                mine = costs if world == "realm" else {}
                extra = {
                    name: mine.get(name, nothing)(step - WARMUPS, boot, step) for name in ("infer", "host", "calls")
                }
                at = {"boot_id": boot, "iteration": step, "is_warmup": step < WARMUPS, "world": world}
                extra["read"] = self.read(step - WARMUPS)
                rows += self._answer(BASE | at, extra, 50_000 * boot + noise(7 * step + boot))
        return rows

    def _answer(self, at: dict[str, Any], extra: dict[str, int], kernel: int) -> list[SampleRow]:
        rows = []
        for phase, user in (("read", 10_000 + extra["read"]), ("infer", 2_000_000 + extra["infer"]), ("write", 5_000)):
            host = 1000 + (extra["host"] if phase == "infer" else 0)
            parts = {"guest_user": user, "guest_kernel": kernel, "host_kernel": host, "vmm": 100}
            for component, value in ({"all": sum(parts.values())} | parts).items():
                rows.append(at | {"phase": phase, "component": component, "metric": "instructions", "value": value})
            rows.append(at | {"phase": phase, "metric": "exits", "value": 4})
            if self.exits:
                rows.append(at | {"phase": phase, "metric": "host_exits", "value": 4 + extra["calls"]})
        return [SampleRow.model_validate(row) for row in rows]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "results")


def test_a_model_whose_time_depends_on_the_input(run: Run) -> None:
    found = run.attacked(infer=lambda place, _boot, _step: 20_000 * (place % INPUTS))
    main = found["realm", "told_apart"]
    assert (main.value, main.attempted, main.verdict, main.access) == (1, 32, "told apart", "label")
    assert (main.control, main.in_verdict) == (False, False)
    assert found["realm", "told_apart_by_time"].value == 1
    assert found["realm", "told_apart_by_exits"].value == 0.25  # all the same: always the first input
    assert found["realm", "p_value"].value == pytest.approx(0.001)
    spread = found["realm", "spread_between_inputs"]
    assert spread.value == pytest.approx(60_000 / 2_020_000, rel=0.01)
    assert (spread.attempted, spread.verdict) == (INPUTS, "depends on the input")
    assert found["realm", "spread_within_inputs"].value < spread.value / 5
    assert spread.note == "60,000 instructions; interrupts make 4 at most; p = 0.001"
    assert found["realm", "told_apart_by_chance"].control
    quiet = found["vm", "told_apart"]
    assert quiet.verdict == "not told apart"
    assert quiet.ci_low is not None
    assert quiet.ci_low < 1 / INPUTS < (quiet.ci_high or 0)
    assert (found["vm", "spread_between_inputs"].value, found["vm", "spread_between_inputs"].verdict) == (0, "constant")
    assert {world for world, _ in found} == {"vm", "realm"}


@pytest.mark.parametrize(("name", "alone"), [("host", "told_apart_by_host"), ("calls", "told_apart_by_exits")])
def test_each_thing_that_a_host_sees_can_tell_when_it_was(run: Run, name: str, alone: str) -> None:
    found = run.attacked(**{name: lambda place, _boot, _step: 3 * (place % INPUTS)})
    assert found["realm", alone].value == 1
    assert found["realm", "p_value"].value == pytest.approx(0.001)
    assert found["realm", "told_apart"].verdict == "by ticks alone"  # as the inference itself executed the same
    assert found["realm", "spread_between_inputs"].verdict == "constant"
    assert found["vm", "told_apart"].verdict == "not told apart"


def test_warm_ups_do_not_shift_the_inputs_and_do_not_count(run: Run) -> None:
    """After them the first input comes first: three warm-ups of four inputs would be noticed."""
    run.facts["cells"][0]["inputs"] = 2
    found = run.attacked(infer=lambda place, _boot, _step: 10**7 if place < 0 else 50_000 * (place % 2))
    assert found["realm", "told_apart"].value == 1
    assert found["realm", "spread_between_inputs"].value == pytest.approx(50_000 / 2_000_000, rel=0.05)


def test_each_inference_is_known_by_its_input_and_round(run: Run) -> None:
    """As the runner takes them: in turn, and from the first one on after the warm-ups, in each boot."""
    run.attacked()
    (folder,) = run.results.iterdir()
    samples = load_run(folder).samples
    observed = observe(samples[samples["world"] == "realm"], INPUTS)
    assert observed is not None
    seen = observed.seen
    order = [place for place in range(INPUTS * ROUNDS) for _ in range(2)]  # of two boots, in turn
    assert seen.inputs.tolist() == [place % INPUTS for place in order]
    assert seen.boots.tolist() == [0, 1] * INPUTS * ROUNDS
    assert seen.rounds.tolist() == [
        ROUNDS * boot + place // INPUTS for place, boot in zip(order, seen.boots, strict=True)
    ]
    assert seen.columns == ("time", "host", "exits")
    assert seen.counts[0].tolist() == [2_001_100 + noise(7 * WARMUPS), 1100, 4]
    assert (observed.own.counts[0].tolist(), observed.left) == ([2_000_000], 4)


def test_what_interrupts_do_to_an_answer_is_not_its_input(run: Run) -> None:
    """An exit is one instruction more at EL0, and ticks come in the same rhythm as inputs."""
    found = run.attacked(infer=lambda place, _boot, _step: 4 * (place % 2))
    assert found["realm", "told_apart_by_chance"].attempted == 999
    spread = found["realm", "spread_between_inputs"]
    assert (spread.verdict, spread.note[:33]) == ("constant", "4 instructions; interrupts make 4")
    more = run.attacked(infer=lambda place, _boot, _step: 5 * (place % 2))["realm", "spread_between_inputs"]
    assert more.verdict == "depends on the input"


def test_noise_that_is_no_interrupt_is_not_the_input(run: Run) -> None:
    """As of threads that wait for each other."""
    found = run.attacked(infer=lambda place, boot, step: noise(11 * place + 5 * boot + step))
    spread = found["realm", "spread_between_inputs"]
    assert spread.value > 0
    assert spread.verdict == "within the noise"


def test_only_inferences_count(run: Run) -> None:
    """An input that crosses a page costs more to be read, wherever in the file it stands."""
    run.read = lambda place: 90_000 * (place % INPUTS)
    found = run.attacked()
    assert found["realm", "told_apart"].verdict == "not told apart"


def test_the_same_run_gives_the_same_bytes(run: Run) -> None:
    run.attacked(infer=lambda place, boot, step: noise(place + boot + step))
    first = run.csv
    run.attacked(infer=lambda place, boot, step: noise(place + boot + step))
    assert run.csv == first


def test_a_run_without_exits_has_no_figure_of_them(run: Run) -> None:
    run.exits = False
    found = run.attacked(infer=lambda place, _boot, _step: 20_000 * (place % INPUTS))
    assert found["realm", "told_apart"].value == 1
    assert ("realm", "told_apart_by_exits") not in found
    assert ("realm", "told_apart_by_host") in found


def test_with_too_few_rounds_nothing_is_decided(run: Run) -> None:
    """Two inputs in four rounds can be shuffled in 16 ways: no p is below 0.05."""
    run.facts["cells"][0]["inputs"], run.iterations, run.boots = 2, 4, 2
    found = run.attacked(infer=lambda place, _boot, _step: 20_000 * (place % 2))
    assert found["realm", "told_apart"].value == 1
    assert found["realm", "told_apart"].verdict == found["realm", "spread_between_inputs"].verdict == "undecided"


@pytest.mark.parametrize(("inputs", "iterations"), [(1, 8), (16, 5), (4, 4)])
def test_what_cannot_be_compared_is_skipped_and_says_so(run: Run, inputs: int, iterations: int) -> None:
    """One input; each of many once; of four inputs none twice, in one boot."""
    run.facts["cells"][0]["inputs"], run.iterations, run.boots = inputs, iterations, 1
    found = run.attacked()
    assert set(found) == {("realm", "told_apart"), ("vm", "told_apart")}
    row = found["realm", "told_apart"]
    assert (row.status, row.value) == ("skipped", None)
    assert row.note == f"not done: 2 inputs have to be seen twice or more, of {inputs} that there were"


def test_inputs_that_were_seen_once_are_left_out(run: Run) -> None:
    run.iterations, run.boots = 7, 1  # the last of four inputs comes once
    found = run.attacked(infer=lambda place, _boot, _step: 20_000 * (place % INPUTS))
    assert found["realm", "told_apart"].attempted == 6
    assert found["realm", "spread_between_inputs"].attempted == 3


def test_an_older_run_is_believed_if_its_answers_come_again(run: Run) -> None:
    del run.facts["cells"][0]["inputs"]
    costs: dict[str, Cost] = {"infer": lambda place, _boot, _step: 20_000 * (place % INPUTS)}
    assert run.attacked(**costs)["realm", "told_apart"].status == "skipped"  # no outputs are there
    run.released = [{"label": 9}] * WARMUPS + [{"label": place % INPUTS} for place in range(run.iterations)]
    assert run.attacked(**costs)["realm", "told_apart"].value == 1
    run.released[-1] = {"label": 77}
    row = run.attacked(**costs)["realm", "told_apart"]
    assert (row.status, row.note) == ("skipped", "not done: the run does not say how many inputs there were")
    run.released[-1] = {"label": INPUTS - 1}
    run.facts["workload"]["inputs"]["files"] = ["a.npy"]
    assert run.attacked(**costs)["realm", "told_apart"].status == "skipped"
