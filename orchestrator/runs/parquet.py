# SPDX-License-Identifier: Apache-2.0
"""Tables as Parquet files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestrator.files import replace_file
from orchestrator.schema.csvtable import Kind, Table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_PIECE_ROWS = 25_000


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

    if isinstance(column.dtype, pd.CategoricalDtype):
        words = _array(pd.Series(column.cat.categories), kind)
        return words.take(pa.array(column.cat.codes, mask=column.isna().to_numpy()))
    if kind is Kind.UTC:
        moments = pd.to_datetime(column, utc=True, format="ISO8601")
        return pa.array(moments.astype("datetime64[us, UTC]"), type=_arrow_type(kind), from_pandas=True)
    plain = column.astype("int64") if kind is Kind.FLAG else column
    return pa.array(plain, type=_arrow_type(kind), from_pandas=True)
