# SPDX-License-Identifier: Apache-2.0
"""Tables of a run as pandas frames, and as Parquet files that hold the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestrator.errors import UsageError
from orchestrator.schema.csvtable import Kind, Table, replace_file
from orchestrator.schema.samples import Status

if TYPE_CHECKING:
    import pyarrow as pa

_DTYPES = {Kind.TEXT: "str", Kind.UTC: "str", Kind.INT: "Int64", Kind.FLOAT: "float64", Kind.FLAG: "Int8"}


def read_frame(path: Path, table: Table[Any]) -> pd.DataFrame:
    """A table with the types of its columns; a missing file has no rows, a torn last line is passed over.

    Raises UsageError for other columns or values of another type.
    """
    data = path.read_bytes() if path.exists() else b""
    data = data[: data.rfind(b"\n") + 1] or table.text([])
    header = data.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r").split(",")
    table.check_header(path, header)
    dtypes: dict[str, Any] = {column.name: _DTYPES[column.kind] for column in table.columns}
    try:
        frame = pd.read_csv(io.BytesIO(data), dtype=dtypes, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise UsageError(f"{path}: not a {table.name}: {' '.join(str(error).split())}") from None
    for column in table.columns:
        if column.kind is Kind.FLAG:
            frame[column.name] = frame[column.name].fillna(0).astype(bool)
    return frame


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
