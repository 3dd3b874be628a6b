# SPDX-License-Identifier: Apache-2.0
"""Tables of a run as pandas frames, and as Parquet files that hold the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pandas as pd
from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.schema.csvtable import NOTHING, Column, Kind, Table
from orchestrator.words import Status

if TYPE_CHECKING:
    import pyarrow as pa

_DTYPES = {Kind.TEXT: "str", Kind.UTC: "str", Kind.INT: "Int64", Kind.FLOAT: "float64", Kind.FLAG: "Int8"}


def read_frame(path: Path, table: Table[Any]) -> pd.DataFrame:
    """A table with the types of its columns; a missing file has no rows, a torn last line is passed over.

    Raises UsageError with line and column for what a column cannot have.
    """
    data = path.read_bytes() if path.exists() else b""
    data = data[: data.rfind(b"\n") + 1] or table.text([])
    header = data.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r").split(",")
    if table.check_header(path, header).version != table.version:
        data = table.current(path)
    dtypes: dict[str, Any] = {column.name: _DTYPES[column.kind] for column in table.columns}
    try:
        missing = {column.name: ["", NOTHING] if column.name == "note" else [""] for column in table.columns}
        # A blank line is a row of which all is missing: lines are counted below.
        frame = pd.read_csv(
            io.BytesIO(data), dtype=dtypes, keep_default_na=False, na_values=missing, skip_blank_lines=False
        )
    except (ValueError, pd.errors.ParserError) as error:
        for _ in table.rows(path):  # which says where, and pandas does not
            pass
        raise UsageError(f"{path}: not a {table.name}: {' '.join(str(error).split())}") from None
    for column in table.columns:
        _check(path, frame[column.name], column, table)
        if column.kind is Kind.FLAG:
            frame[column.name] = frame[column.name].astype(bool)
    return frame


def _check(path: Path, values: pd.Series[Any], column: Column, table: Table[Any]) -> None:
    """Raises UsageError for a column's first value that its type does not have, or that is not there."""

    def refuse(bad: pd.Series[Any], what: str) -> NoReturn:
        line = 2 + int(bad.to_numpy(dtype=bool).argmax())
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

    columns = [_array(frame[column.name], column.kind) for column in table.columns]
    schema = pa.schema([pa.field(name, array.type) for name, array in zip(table.names, columns, strict=True)])
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), stream, compression="zstd", version="2.6")
    replace_file(path, stream.getvalue())


def _array(column: pd.Series[Any], kind: Kind) -> pa.Array[Any]:
    """One column: text as strings, flags as 0 and 1, moments in microseconds of UTC."""
    import pyarrow as pa  # noqa: PLC0415

    if kind is Kind.UTC:
        moments = pd.to_datetime(column, utc=True, format="ISO8601")
        return pa.array(moments.astype("datetime64[us, UTC]"), type=pa.timestamp("us", tz="UTC"), from_pandas=True)
    types = {Kind.TEXT: pa.string(), Kind.INT: pa.int64(), Kind.FLOAT: pa.float64(), Kind.FLAG: pa.int64()}
    plain = column.astype("int64") if kind is Kind.FLAG else column
    return pa.array(plain, type=types[kind], from_pandas=True)
