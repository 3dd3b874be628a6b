# SPDX-License-Identifier: Apache-2.0
"""Runs of many iterations: what a report takes of memory, a row; categories say the same as text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from synthetic import Cell, Plan, make_run

from orchestrator.analysis.checks import answers, left_out, spreads, sums
from orchestrator.analysis.pairing import in_both
from orchestrator.runs.frames import among, by_key, firsts, integers, places_by, plain, read_frame, usable
from orchestrator.schema.samples import SAMPLES
from orchestrator.words import World

PLAN = Plan(cells=(Cell(),), boots=2, iterations=3, warmups=1)
TIMES = 4000
BYTES = 400
"""That a row may take, with all that a report computes at once. It was 1,500 when texts were text; 130 were seen."""
REPORT = """
import resource, sys
from pathlib import Path
from orchestrator.report.tables import write_tables
write_tables(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
"""


def lengthened(folder: Path, times: int) -> int:
    """Have so many iterations in place of each boot's last one; returns how many rows there are."""
    path = folder / "samples.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    place, last = SAMPLES.names.index("iteration"), str(PLAN.warmups + PLAN.iterations - 1)

    def more() -> Iterator[str]:
        for line in lines:
            fields = line.split(",")
            if fields[place] != last:
                yield line
                continue
            for number in range(times):
                fields[place] = str(int(last) + number)
                yield ",".join(fields)

    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(more())
    with path.open("rb") as data:
        return sum(1 for _ in data) - 1


def peak(folder: Path) -> int:
    """Bytes that the report of a run takes at most, of a process of its own."""
    command = [sys.executable, "-c", REPORT, str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_row_of_a_long_run_takes_little_memory(tmp_path: Path) -> None:
    short, long = (make_run(tmp_path / name, PLAN) for name in ("short", "long"))
    rows = lengthened(long, TIMES)
    assert rows > 300_000
    assert peak(long) - peak(short) < BYTES * rows


@pytest.fixture
def samples(tmp_path: Path) -> pd.DataFrame:
    """Two cells in an order that is not that of their names, a failed world, and a wrong answer."""
    late, soon = Cell("z-first"), Cell("a-second", host_hz=100)
    plan = PLAN.but(cells=(late, soon), broken=(("a-second", "realm"),), wrong=1)
    return read_frame(make_run(tmp_path, plan) / "samples.csv", SAMPLES)


def test_columns_with_few_values_are_categories_in_order(samples: pd.DataFrame) -> None:
    kinds = {name: isinstance(samples[name].dtype, pd.CategoricalDtype) for name in samples}
    assert {name for name, few in kinds.items() if not few} == {"boot_id", "iteration", "is_warmup", "value"}
    assert set(SAMPLES.few) == {name for name, few in kinds.items() if few}
    assert samples["host_hz"].cat.categories.tolist() == [100, 1000]
    assert samples["metric"].cat.categories.tolist() == sorted(samples["metric"].unique())
    assert samples.memory_usage(index=False).sum() < 60 * len(samples) + 4096


def test_categories_say_what_text_says(samples: pd.DataFrame) -> None:
    text = plain(samples)
    assert not any(isinstance(kind, pd.CategoricalDtype) for kind in text.dtypes)
    assert [str(cell) for cell in samples["cell_id"].unique()] == ["z-first", "a-second"]
    for found in (answers, left_out, spreads, sums):
        assert found(samples) == found(text), found.__name__
    keys = ["cell_id", "world", "metric"]
    pd.testing.assert_series_equal(by_key(samples, keys, "mean"), by_key(text, keys, "mean"))
    pd.testing.assert_frame_equal(firsts(samples, keys), firsts(text, keys))
    assert {key: places.tolist() for key, places in places_by(samples, keys).items()} == {
        key: places.tolist() for key, places in places_by(text, keys).items()
    }
    pd.testing.assert_frame_equal(
        plain(in_both(samples, "z-first", placed=True)), in_both(text, "z-first", placed=True), check_dtype=False
    )


def test_what_is_missing_and_what_is_not_there(samples: pd.DataFrame) -> None:
    assert integers(samples["seed"], -1).tolist() == integers(plain(samples)["seed"], -1).tolist()
    assert samples["note"].notna().sum() == 1
    assert not among(samples["world"], "nowhere").any()
    assert usable(samples, cell_id="a-second", world=World.REALM).empty
    assert set(usable(samples, ["world"], world=[World.HOST, "nowhere"])["world"].unique()) == {"host"}
