# SPDX-License-Identifier: Apache-2.0
"""Tables of a run as pandas frames, and as Parquet files that hold the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np
import pandas as pd
from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.schema.csvtable import NOTHING, Column, Kind, Table
from orchestrator.words import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_PIECE_ROWS = 25_000
_PIECE_BYTES = 1 << 16
# As "str" otherwise is, but for where the texts are: all of them side by side, each as often as it comes.
_SHARED = pd.StringDtype("python", na_value=np.nan)
_DTYPES = {Kind.TEXT: "str", Kind.UTC: "str", Kind.INT: "Int64", Kind.FLOAT: "float64", Kind.FLAG: "Int8"}


def read_frame(path: Path, table: Table[Any]) -> pd.DataFrame:
    """A table with the types of its columns; a missing file has no rows, a torn last line is passed over.

    A value of a text column is in memory once, however many rows have it: of a million they have a few. Raises
    UsageError with line and column for what a column cannot have.
    """
    if not path.exists() or path.stat().st_size == 0:
        return _joined([], table)
    with path.open("rb") as stream:
        header = stream.readline().decode(errors="replace").rstrip("\r\n").split(",")
        current = table.check_header(path, header).version == table.version
        stream.seek(0)
        source: Any = _Whole(stream) if current else io.BytesIO(table.current(path))
        parts, lines = [], 1
        words: dict[Any, Any] = {}
        try:
            for part in _pieces(source, table):
                _check(path, part, table, lines)
                parts.append(_compact(part, table, words))
                lines += len(part)
        except (ValueError, pd.errors.ParserError) as error:
            for _ in table.rows(path):  # which says where, and pandas does not
                pass
            raise UsageError(f"{path}: not a {table.name}: {' '.join(str(error).split())}") from None
    return _joined(parts, table)


class _Whole(io.RawIOBase):
    """A file up to the end of its last whole line."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._left = _whole_bytes(stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _whole_bytes(stream: BinaryIO) -> int:
    """How many bytes of a file are whole lines; it is at its beginning before and after."""
    end = stream.seek(0, io.SEEK_END)
    while end:
        begin = stream.seek(max(0, end - _PIECE_BYTES))
        found = stream.read(end - begin).rfind(b"\n")
        end = begin
        if found >= 0:
            end += found + 1
            break
    stream.seek(0)
    return end


def _pieces(source: Any, table: Table[Any]) -> Iterator[pd.DataFrame]:
    """The rows, so many at a time that a long table takes no more memory than what is kept of it."""
    dtypes: dict[str, Any] = {column.name: _DTYPES[column.kind] for column in table.columns}
    missing = {column.name: ["", NOTHING] if column.name == "note" else [""] for column in table.columns}
    # A blank line is a row of which all is missing: lines are counted.
    yield from pd.read_csv(
        source, dtype=dtypes, keep_default_na=False, na_values=missing, skip_blank_lines=False, chunksize=_PIECE_ROWS
    )


def _compact(part: pd.DataFrame, table: Table[Any], words: dict[Any, Any]) -> dict[str, Any]:
    """The columns of a piece as they are kept; `words` has the texts that there are already."""
    return {
        column.name: _shared(part[column.name], words) if _is_text(column) else part[column.name].array
        for column in table.columns
    }


def _is_text(column: Column) -> bool:
    return column.kind in {Kind.TEXT, Kind.UTC}


def _shared(values: pd.Series[Any], words: dict[Any, Any]) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Text as references to words."""
    places, found = pd.factorize(values)
    known = np.array([*(words.setdefault(word, word) for word in found), np.nan], dtype=object)
    return known[places]  # -1, what is missing, is the last


def _joined(parts: list[dict[str, Any]], table: Table[Any]) -> pd.DataFrame:
    """One frame of all pieces, which go as it grows."""
    columns: dict[str, Any] = {}
    for column in table.columns:
        arrays = [part.pop(column.name) for part in parts]
        if _is_text(column):
            joined: Any = pd.array(np.concatenate([np.empty(0, dtype=object), *arrays]), dtype=_SHARED)
        else:
            joined = pd.concat([pd.Series([], dtype=_DTYPES[column.kind]), *map(pd.Series, arrays)]).array
        columns[column.name] = joined.astype(bool) if column.kind is Kind.FLAG else joined
    return pd.DataFrame(columns)


def _check(path: Path, part: pd.DataFrame, table: Table[Any], lines: int) -> None:
    """Raises UsageError for a column's first value that its type does not have, or that is not there.

    So many `lines` come before this part.
    """
    for column in table.columns:
        _check_column(path, part[column.name], column, table, lines)


def _check_column(path: Path, values: pd.Series[Any], column: Column, table: Table[Any], lines: int) -> None:
    def refuse(bad: pd.Series[Any], what: str) -> NoReturn:
        line = lines + 1 + int(bad.to_numpy(dtype=bool).argmax())
        raise UsageError(f"{path}:{line}: {column.name}: {what}", hint="results/README.md has the columns")

    if not column.optional and values.isna().any():
        refuse(values.isna(), "is missing")
    if column.kind is Kind.FLOAT:  # too many to look at each
        if (infinite := values.isin([float("inf"), float("-inf")])).any():
            refuse(infinite, "is not finite")
        return
    adapter = table.adapter(column.name)
    for value in values.dropna().unique().tolist():
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            refuse(values.isin([value]), f"{error.errors(include_url=False)[0]['msg']}, found '{value}'")


def usable(samples: pd.DataFrame) -> pd.DataFrame:
    """The rows that statistics are made of: ok, with a value, and no warm-ups."""
    return samples[(samples["status"] == Status.OK) & ~samples["is_warmup"] & samples["value"].notna()]


def write_parquet(path: Path, frame: pd.DataFrame, table: Table[Any]) -> None:
    """The same rows and columns as Parquet; the same frame always gives the same bytes with the same pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - takes a quarter of a second
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([pa.field(column.name, _arrow_type(column.kind)) for column in table.columns])
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, schema, compression="zstd", version="2.6") as writer:
        for begin in range(0, max(1, len(frame)), _PIECE_ROWS):
            part = frame.iloc[begin : begin + _PIECE_ROWS]
            columns = [_array(part[column.name], column.kind) for column in table.columns]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    replace_file(path, stream.getvalue())


def _arrow_type(kind: Kind) -> Any:
    """Text as strings, flags as 0 and 1, moments in microseconds of UTC."""
    import pyarrow as pa  # noqa: PLC0415

    types = {Kind.TEXT: pa.string(), Kind.INT: pa.int64(), Kind.FLOAT: pa.float64(), Kind.FLAG: pa.int64()}
    return pa.timestamp("us", tz="UTC") if kind is Kind.UTC else types[kind]


def _array(column: pd.Series[Any], kind: Kind) -> pa.Array[Any]:
    import pyarrow as pa  # noqa: PLC0415

    if kind is Kind.UTC:
        moments = pd.to_datetime(column, utc=True, format="ISO8601")
        return pa.array(moments.astype("datetime64[us, UTC]"), type=_arrow_type(kind), from_pandas=True)
    plain = column.astype("int64") if kind is Kind.FLAG else column
    return pa.array(plain, type=_arrow_type(kind), from_pandas=True)
