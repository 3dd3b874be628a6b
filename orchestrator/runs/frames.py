# SPDX-License-Identifier: Apache-2.0
"""Tables of a run as pandas frames."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_integer_dtype

from orchestrator.errors import UsageError
from orchestrator.files import whole_bytes
from orchestrator.runs.columns import Growing, RefusedError, arrow_type, growing
from orchestrator.words import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from orchestrator.schema.csvtable import Table

Words: TypeAlias = str | Collection[str]
Mask: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
_PIECE_BYTES = 1 << 20
_MANY = 1 << 32


def read_frame(path: Path, table: Table[Any]) -> pd.DataFrame:
    """A table with the types of its columns; a missing file has no rows, a torn last line is passed over.

    Columns that have few values in a long table (`table.few`) are categories, in order: a row takes a byte of each.
    Raises UsageError with line and column for what a column cannot have.
    """
    columns = {column.name: growing(column, table) for column in table.columns}
    if path.exists() and path.stat().st_size:
        with path.open("rb") as stream:
            header = stream.readline().decode(errors="replace").rstrip("\r\n").split(",")
            current = table.check_header(path, header).version == table.version
            stream.seek(0)
            _read(path, _Whole(stream) if current else io.BytesIO(table.current(path)), table, columns)
    # One by one, so that none is in memory twice.
    return pd.DataFrame({name: columns.pop(name).joined() for name in table.names}, copy=False)


def _read(path: Path, source: Any, table: Table[Any], columns: dict[str, Growing]) -> None:
    """All rows into their columns."""
    lines = 1
    try:
        for piece in _pieces(source, table):
            for name, column in columns.items():
                try:
                    column.add(piece.column(name))
                except RefusedError as error:
                    raise UsageError(
                        f"{path}:{lines + 1 + error.place}: {name}: {error.what}",
                        hint="results/README.md has the columns",
                    ) from None
            lines += piece.num_rows
    except ValueError as error:
        for _ in table.rows(path):  # which says where, and the reader does not
            pass
        raise UsageError(f"{path}: not a {table.name}: {' '.join(str(error).split())}") from None


def _pieces(source: Any, table: Table[Any]) -> Iterator[pa.RecordBatch]:
    """The rows, so many at a time that a long table takes no more memory than what is kept of it."""
    import pyarrow.csv as pc  # noqa: PLC0415 - takes a quarter of a second

    options: dict[str, Any] = {
        "read_options": pc.ReadOptions(block_size=_PIECE_BYTES, use_threads=False),
        # A blank line is no row: lines are counted.
        "parse_options": pc.ParseOptions(ignore_empty_lines=False),
        "convert_options": pc.ConvertOptions(
            column_types={column.name: arrow_type(column) for column in table.columns},
            null_values=[""],
            strings_can_be_null=True,
        ),
    }
    with pc.open_csv(source, **options) as reader:
        yield from reader


class _Whole(io.RawIOBase):
    """A file up to the end of its last whole line."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._left = whole_bytes(stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def usable(samples: pd.DataFrame, columns: Sequence[str] | None = None, **words: Words) -> pd.DataFrame:
    """The rows that statistics are made of: ok, with a value, and no warm-ups.

    Of a long table ask for what you need: for `columns`, and for those rows alone where each of `words`, named by its
    column, is the value or one of the values.
    """
    ok = (samples["status"] == Status.OK) & ~samples["is_warmup"] & samples["value"].notna()
    return chosen(samples, columns, ok.to_numpy(dtype=bool), **words)


def chosen(
    rows: pd.DataFrame, columns: Sequence[str] | None = None, these: Mask | None = None, **words: Words
) -> pd.DataFrame:
    """Of `these` rows, or of all, those where each of `words`, named by its column, is the value or one of them."""
    for name, wanted in words.items():
        mine = among(rows[name], wanted)
        these = mine if these is None else these & mine
    found = rows if columns is None else rows[list(columns)]
    return found if these is None else found[these]


def among(values: pd.Series[Any], wanted: Words) -> Mask:
    """Where a column has a word, or one of several."""
    same = values == str(wanted) if isinstance(wanted, str) else values.isin([str(word) for word in wanted])
    return same.to_numpy(dtype=bool)


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without categories, which a few rows do not need: a word of text or an integer in each."""
    kinds = {name: _plain_kind(rows[name]) for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)}
    return rows.astype(kinds) if kinds else rows


def _plain_kind(values: pd.Series[Any]) -> str:
    return "Int64" if is_integer_dtype(values.cat.categories.dtype) else "str"


def integers(values: pd.Series[Any], missing: int) -> Ints:
    """A column of integers, with another one for what is missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        known = np.array([*values.cat.categories, missing], dtype=np.int64)
        return known[values.cat.codes.to_numpy()]  # -1, what is missing, is the last
    return values.fillna(missing).to_numpy(dtype=np.int64)


def firsts(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The first row of each combination of some columns, which neighbours mostly share."""
    new = np.zeros(len(rows), dtype=bool)
    new[:1] = True
    for key in keys:
        values = rows[key]
        each = values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values
        array = each.to_numpy(dtype=np.int64, na_value=-1) if is_integer_dtype(each.dtype) else each.to_numpy()
        new[1:] |= array[1:] != array[:-1]
    return plain(rows[new]).drop_duplicates(list(keys))


def places_by(rows: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[str, ...], Ints]:
    """Where the rows of each combination of words stand, in the order in which they come; in little memory."""
    numbers, known = np.zeros(len(rows), dtype=np.int64), 1
    for key in keys:
        values = rows[key]
        words = values.cat if isinstance(values.dtype, pd.CategoricalDtype) else values.astype("category").cat
        known *= len(words.categories) + 1
        numbers *= len(words.categories) + 1
        numbers += words.codes.to_numpy()
        numbers += 1
        if known > _MANY:  # of words that never come together
            found, numbers = np.unique(numbers, return_inverse=True)
            known = len(found)
    order = np.argsort(numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[order])) + 1
    parts = np.split(order, ends) if len(order) else []
    told = rows[list(keys)].iloc[[part[0] for part in parts]].itertuples(index=False, name=None)
    return {tuple(map(str, key)): part for key, part in zip(told, parts, strict=True)}


def by_key(rows: pd.DataFrame, keys: Sequence[str], how: str) -> pd.Series[float]:
    """The value's mean, sum or median by some columns, in their order; the index has no categories."""
    found = rows.groupby(list(keys), observed=True)["value"].agg(how)
    places = plain(found.index.to_frame(index=False))
    index = pd.MultiIndex.from_frame(places) if len(keys) > 1 else pd.Index(places[keys[0]])
    return found.set_axis(index)
