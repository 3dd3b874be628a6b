# SPDX-License-Identifier: Apache-2.0
"""The same measurement over and over from one saved moment: whether counts are a property of the machine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import WorkloadError
from orchestrator.experiment import collect, gate
from orchestrator.experiment.stage import Stage
from orchestrator.testbed.testbed import UpOptions
from orchestrator.trace.markers import pair_markers
from orchestrator.words import INFER, Component, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.experiment.gate import CountedExecution
    from orchestrator.trace.markers import MarkerRecord
    from orchestrator.trace.tally import Tally

DETERMINISTIC = UpOptions(fresh=True, deterministic=True, count=True)
START_SECONDS = 12
"""Of the machine's time, from the arming of a measurement to its start: the machine is saved in between."""


def replays(
    stage: Stage, what: CountedExecution, world: World, saved: Path, times: int
) -> Iterator[list[dict[Component, int]]]:
    """Arm the deployed runner, save the machine to `saved`, and measure `times` from there.

    Each item has the instructions of every inference, by component. The machine of `stage` is up with the last one.
    A measurement starts at a moment of the machine's time that is part of the saved state: a signal would come at
    another one each time, and find the host's timers elsewhere. Raises WorkloadError if it had begun when saved.
    """
    stage.arm(what, world, after=START_SECONDS)
    stage.bed.save(saved)
    for _ in range(times):
        stage.bed.replay(saved, DETERMINISTIC)
        again = Stage.on(stage.bed, deploy_seconds=stage.deploy_seconds, run_seconds=stage.run_seconds)
        markers = again.await_end(what, lambda _: None)
        again.check()
        if not any(each.event == gate.COUNTED and each.id == what.base and not each.end for each in markers):
            raise WorkloadError(f"saving the machine took longer than {START_SECONDS} s of its time")
        yield [collect.components(each, world) for each in inferences(markers)]


def inferences(markers: tuple[MarkerRecord, ...]) -> list[Tally]:
    """What was counted in each inference, in order."""
    mine = (each for each in markers if each.event == INFER.event)
    return [pair.delta for pair in pair_markers(mine)]
