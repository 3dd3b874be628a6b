# SPDX-License-Identifier: Apache-2.0
"""Tables of a run: what is written is read back, what a reader could misread is refused, crashes cost no whole row."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from orchestrator.errors import EnvError, UsageError
from orchestrator.runs.frames import read_frame
from orchestrator.schema import csvtable
from orchestrator.schema.csvtable import Kind
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY, PrivacyRow, SampleRow, append_samples, repair, retain
from orchestrator.words import METRICS

ROOT = Path(__file__).resolve().parents[3]
DICTIONARY = (ROOT / "results/README.md").read_text(encoding="utf-8")
BASE: dict[str, Any] = {
    "run_id": "demo-20260131T120000Z-abc",
    "cell_id": "mobilenet-int8-s3",
    "boot_id": 0,
    "iteration": 3,
    "workload": "demo",
    "model": "mobilenet",
    "model_sha256": "c0" * 32,
    "quantization": "int8",
    "world": "realm",
    "phase": "infer",
    "component": "rmm",
    "metric": "instructions",
    "value": 123456789012,
    "unit": "1",
    "method": "tcg_plugin",
    "platform": "qemu",
    "platform_version": "qemu-10.0.13",
    "icount_shift": 3,
    "smp": 1,
    "mem_mib": 256,
    "host_hz": 1000,
    "guest_hz": 100,
    "stack_hash": "ab" * 32,
    "seed": 7,
    "started_utc": "2026-01-31T12:00:00Z",
}


def row(**changes: object) -> SampleRow:
    return SampleRow.model_validate(BASE | changes)


def cell(number: int, rows: int = 4) -> list[SampleRow]:
    return [row(cell_id=f"c{number}-x", iteration=k, value=number * 100 + k) for k in range(rows)]


def test_rows_are_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    rows = [
        row(),
        row(iteration=None, phase="load", value=0.1 + 0.2, metric="duration", method="host_clock", unit="s"),
        row(status="error", value=None, note='a "quoted", note\nof two lines'),
        row(icount_shift=None, seed=None, boot_id=None, model_sha256=None),
    ]
    assert append_samples(path, rows) == path.stat().st_size
    again = list(SAMPLES.rows(path))
    assert again == rows
    assert again[1].value == 0.1 + 0.2
    assert again[2].note == 'a "quoted", note of two lines'


def test_pandas_needs_no_options(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    append_samples(path, [row(), row(is_warmup=True, iteration=0, value=2**53), row(world="host", note="née µ")])
    frame = pd.read_csv(path)
    assert list(frame.columns) == SAMPLES.names
    kinds = {
        Kind.TEXT: pd.api.types.is_string_dtype,
        Kind.UTC: pd.api.types.is_string_dtype,
        Kind.INT: pd.api.types.is_integer_dtype,
        Kind.FLAG: pd.api.types.is_integer_dtype,
        Kind.FLOAT: pd.api.types.is_numeric_dtype,
    }
    for column in SAMPLES.columns:
        if column.name != "unit":  # all 1 here
            assert kinds[column.kind](frame[column.name].dtype), column.name
    assert frame["value"].tolist() == [123456789012, 2**53, 123456789012]
    assert frame["protection"].tolist() == ["none"] * 3
    assert frame["note"].tolist()[2] == "née µ"


@pytest.mark.parametrize(
    "changes",
    [
        {"cell_id": "1e5"},
        {"cell_id": "12345678"},
        {"model_sha256": "0" * 64},
        {"model": "null"},
        {"model": "True"},
        {"model": "a\nb"},
        {"platform_version": "10.0"},
        {"stack_hash": "12e4"},
        {"world": "secure"},
        {"phase": "inference"},
        {"metric": "cycles"},
        {"metric": "exits_wfi"},  # not by the plugin
        {"unit": "ns"},
        {"value": None},
        {"value": float("nan")},
        {"value": float("inf")},
        {"iteration": -1},
        {"started_utc": "2026-01-31 12:00"},
        {"colour": "red"},
    ],
)
def test_what_a_reader_could_misread_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        row(**changes)


def test_exits_by_reason_are_metrics() -> None:
    assert row(metric="exits_wfi", method="procfs", iteration=None).metric == "exits_wfi"


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    append_samples(first, cell(1) + cell(2))
    append_samples(second, cell(1))
    append_samples(second, cell(2))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().count(b"schema_version") == 1


def test_a_torn_line_is_recognised_and_cut_wherever_it_tore(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    append_samples(path, cell(1))
    before = path.stat().st_size
    append_samples(path, cell(2, rows=1))
    whole = path.read_bytes()
    for end in range(before + 1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(EnvError, match="torn"):
            append_samples(path, cell(3))
        assert len(list(SAMPLES.records(path))) == 4  # readers pass over it
        assert repair(path) == end - before
    assert repair(path) == 0
    assert append_samples(path, cell(2, rows=1)) == len(whole)
    assert path.read_bytes() == whole


def test_many_rows_are_written_in_pieces_and_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it behind the first pieces: nothing of them stays."""
    monkeypatch.setattr(csvtable, "_PIECE_ROWS", 2)
    path = tmp_path / "samples.csv"
    assert append_samples(path, iter(cell(1))) == len(SAMPLES.text(cell(1)))
    before = path.read_bytes()
    assert before == SAMPLES.text(cell(1))

    def broken() -> Iterator[SampleRow]:
        yield from cell(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        append_samples(path, broken())
    assert path.read_bytes() == before
    append_samples(path, cell(2))
    assert list(SAMPLES.rows(path)) == cell(1) + cell(2)


def test_a_torn_header_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_bytes(b"schema_ver")
    assert repair(path) == 10
    append_samples(path, cell(1))
    assert list(SAMPLES.rows(path)) == cell(1)
    assert repair(tmp_path / "none.csv") == 0


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    """A journal that keeps the size of each finished cell brings back exactly those cells."""
    path = tmp_path / "samples.csv"
    chance = random.Random(5)
    size, finished = 0, []
    for number in range(100):
        repair(path, size=size)
        rows = cell(number, rows=chance.randrange(1, 6))
        after = append_samples(path, rows)
        if chance.random() < 0.5:  # killed in or behind the write, before the journal
            os.truncate(path, chance.randrange(size, after + 1))
        else:
            size = after
            finished += rows
    repair(path, size=size)
    assert list(SAMPLES.rows(path)) == finished


def test_lost_rows_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    size = append_samples(path, cell(1))
    os.truncate(path, size - 3)
    with pytest.raises(EnvError, match="were written"):
        repair(path, size=size)
    append_samples(other := tmp_path / "other.csv", cell(1))
    with pytest.raises(EnvError, match="not the end of a line"):
        repair(other, size=size - 3)


def test_a_full_disk_leaves_nothing_of_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "samples.csv"
    append_samples(path, cell(1))
    before = path.read_bytes()
    real = os.pwrite
    calls = []

    def short(handle: int, data: memoryview, offset: int) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(handle, data[:100], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csvtable.os, "pwrite", short)
    with pytest.raises(OSError, match="No space"):
        append_samples(path, cell(2))
    assert len(calls) == 2
    assert path.read_bytes() == before


def test_rows_of_unfinished_cells_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    append_samples(path, cell(1) + cell(2) + cell(3))
    with path.open("ab") as stream:
        stream.write(b"1,torn")
    assert retain(path, lambda fields: fields["cell_id"] != "c2-x") == 4
    assert list(SAMPLES.rows(path)) == cell(1) + cell(3)
    assert retain(path, lambda _fields: True) == 0
    assert list(tmp_path.iterdir()) == [path]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(EnvError, match="other columns"):
        append_samples(path, cell(1))
    with pytest.raises(UsageError, match="lacks schema_version"):
        list(SAMPLES.rows(path))
    path.write_bytes(SAMPLES.text(cell(1)).replace(b",realm,", b",relm,", 1))
    with pytest.raises(UsageError, match=r"samples\.csv:2: world"):
        list(SAMPLES.rows(path))


def version_1(rows: list[SampleRow]) -> bytes:
    """A file as the first version of orch wrote it: without `runtime`."""
    stream = io.StringIO()
    place = SAMPLES.names.index("runtime")
    lines = [row.fields() for row in rows]
    old = [SAMPLES.names, *(["1", *line[1:]] for line in lines)]
    csv.writer(stream, lineterminator="\n").writerows([each[:place] + each[place + 1 :] for each in old])
    return stream.getvalue().encode()


def test_rows_of_an_older_version_have_what_they_would_have_had(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    old = version_1(cell(1) + cell(2))
    path.write_bytes(old + b"1,torn")
    assert list(SAMPLES.rows(path)) == cell(1) + cell(2)
    assert SAMPLES.current(path) == SAMPLES.text(cell(1) + cell(2))
    assert path.read_bytes() == old + b"1,torn"
    with pytest.raises(EnvError, match="torn"):
        append_samples(path, cell(3))
    assert retain(path, lambda fields: fields["runtime"] == "litert") == 0
    assert path.read_bytes() == SAMPLES.text(cell(1) + cell(2))
    append_samples(path, cell(3))
    assert list(SAMPLES.rows(path)) == cell(1) + cell(2) + cell(3)


def test_a_file_is_of_one_version(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_bytes(version_1(cell(1)).replace(b"\n1,", b"\n2,", 1))
    with pytest.raises(UsageError, match=r"samples\.csv:2: schema_version: 1 expected, found '2'"):
        list(SAMPLES.rows(path))
    path.write_bytes(SAMPLES.text(cell(1)).replace(b"\n2,", b"\n1,", 1))
    with pytest.raises(UsageError, match=r"samples\.csv:2: schema_version"):
        list(SAMPLES.rows(path))
    with pytest.raises(UsageError, match=r"samples\.csv:2: schema_version"):
        read_frame(path, SAMPLES)
    path.write_bytes(SAMPLES.text(cell(1)).replace(b"runtime", b"motor", 1))
    with pytest.raises(UsageError, match="lacks runtime"):
        read_frame(path, SAMPLES)


def test_privacy_rows_have_flags() -> None:
    made = PrivacyRow(
        run_id="r-1", cell_id="c-1", attack="memory-scan", world="realm", model="m", quantization="int8",
        metric="blocks_recovered", value=0.0, unit="1", attempted=2000, control=True, in_verdict=False,
    )  # fmt: skip
    frame = pd.read_csv(io.BytesIO(PRIVACY.text([made])))
    assert frame.loc[0, ["control", "in_verdict", "value"]].tolist() == [1, 0, 0]


@pytest.mark.parametrize("table", [SAMPLES, SUMMARY, PRIVACY], ids=lambda table: table.name)
def test_the_dictionary_has_exactly_these_columns(table: Any) -> None:
    section = DICTIONARY.split(f"### {table.name}\n")[1].split("\n#")[0]
    found = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes|no) \|", section, re.MULTILINE)
    assert found == [(c.name, str(c.kind), "yes" if c.optional else "no") for c in table.columns]


def test_the_dictionary_has_exactly_these_words_and_metrics() -> None:
    section = DICTIONARY.split("### samples.csv\n")[1].split("\n#")[0]
    for column in SAMPLES.columns:
        if column.kind is Kind.TEXT and column.allowed:
            line = next(line for line in section.splitlines() if line.startswith(f"| `{column.name}`"))
            assert re.findall(r"`(\w+)`", line.rsplit(": ", 1)[1]) == list(column.allowed)
    metrics = re.findall(r"^\| `([\w<>]+)` \| `", DICTIONARY.split("## Metrics\n")[1].split("\n## ")[0], re.MULTILINE)
    assert metrics == [*METRICS, "exits_<reason>"]


@pytest.mark.parametrize("noted", [0, 99_999])
def test_a_long_file_needs_no_options_either(noted: int) -> None:
    """pandas types it piece by piece: in none may the notes be all empty."""
    plain, told = (SAMPLES.text([row(note=note)], header=False) for note in (None, "packets arrived"))
    lines = [plain] * 100_000
    lines[noted] = told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = pd.read_csv(io.BytesIO(SAMPLES.text([]) + b"".join(lines)))
    assert frame["note"].value_counts().to_dict() == {"-": 99_999, "packets arrived": 1}


def test_a_note_that_says_nothing_is_missing_whichever_way_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    new = SAMPLES.text([row()])
    assert new.endswith(b",-\n")
    path.write_bytes(new + SAMPLES.text([row()], header=False).replace(b",-\n", b",\n"))
    assert [each.note for each in SAMPLES.rows(path)] == [None, None]
    assert read_frame(path, SAMPLES)["note"].isna().all()
