# SPDX-License-Identifier: Apache-2.0
"""Columns of a table as they grow, piece by piece: words are kept once, each row has the number of its word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from pydantic import ValidationError

from orchestrator.schema.csvtable import NOTHING, Column, Kind, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_DTYPES = {Kind.INT: "int64", Kind.FLOAT: "float64", Kind.FLAG: "bool"}
_LEAST = 1 << 14  # values for which there is place at first
# As "str" otherwise is, but for where the texts are: all of them side by side, each as often as it comes.
_SHARED = pd.StringDtype("python", na_value=np.nan)


class RefusedError(ValueError):
    """A column has a value that it cannot have, in the row `place` of its piece."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(what)
        self.place = place
        self.what = what


class Growing(Protocol):
    """A column that is read."""

    def add(self, piece: pa.Array[Any]) -> None:
        """What a piece has of it; raises RefusedError."""
        ...

    def joined(self) -> Any:
        """All of it, as a column of a frame."""
        ...


def growing(column: Column, table: Table[Any]) -> Growing:
    """A column with no rows yet."""
    if column.name in table.few or column.kind in {Kind.TEXT, Kind.UTC}:
        return _Words(column, table)
    return _Numbers(column, table)


def arrow_type(column: Column) -> Any:
    """What a column is read as."""
    import pyarrow as pa  # noqa: PLC0415 - takes a quarter of a second

    if column.kind in {Kind.TEXT, Kind.UTC}:
        return pa.dictionary(pa.int32(), pa.string())
    return pa.float64() if column.kind is Kind.FLOAT else pa.int64()


class _Buffer:
    """An array that grows: one piece of memory, of which what is not yet written to costs nothing."""

    def __init__(self, dtype: Any) -> None:
        self._array = np.empty(0, dtype=dtype)
        self._used = 0

    def add(self, values: NDArray[Any]) -> None:
        """At its end, in a wider type from then on if these need one."""
        end, dtype = self._used + len(values), np.result_type(self._array.dtype, values.dtype)
        if end > len(self._array) or dtype != self._array.dtype:
            wider = np.empty(max(2 * self._used, end, _LEAST), dtype=dtype)
            wider[: self._used] = self._array[: self._used]
            self._array = wider
        self._array[self._used : end] = values
        self._used = end

    @property
    def values(self) -> NDArray[Any]:
        """All that it has."""
        return self._array[: self._used]


class _Checked:
    """What columns of both kinds are checked by."""

    def __init__(self, column: Column, table: Table[Any]) -> None:
        self._column = column
        self._adapter = table.adapter(column.name)

    def _check_there(self, missing: NDArray[np.bool_]) -> None:
        if not self._column.optional and missing.any():
            raise RefusedError(int(missing.argmax()), "is missing")

    def _fault(self, value: object) -> str | None:
        try:
            self._adapter.validate_python(value)
        except ValidationError as error:
            return f"{error.errors(include_url=False)[0]['msg']}, found '{value}'"
        return None


class _Words(_Checked):
    """A column with few values, texts or integers: numbers of words, of one byte as long as that holds them."""

    def __init__(self, column: Column, table: Table[Any]) -> None:
        super().__init__(column, table)
        self._sorted = column.name in table.few
        self._known: dict[Any, int] = {}
        self._codes = _Buffer(np.int8)

    def add(self, piece: pa.Array[Any]) -> None:
        """Each word is checked where it is seen for the first time."""
        import pyarrow as pa  # noqa: PLC0415 - takes a quarter of a second

        found: Any = piece if isinstance(piece, pa.DictionaryArray) else piece.dictionary_encode()
        places = found.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        words = found.dictionary.to_pylist()
        numbers = [self._number(word, place, places) for place, word in enumerate(words)]
        codes = np.array([*numbers, -1], dtype=np.min_scalar_type(-len(self._known) - 1))[places]
        self._check_there(codes < 0)
        self._codes.add(codes)

    def _number(self, word: object, place: int, places: NDArray[Any]) -> int:
        if word == NOTHING and self._column.name == "note":
            return -1
        if word not in self._known:
            fault = self._fault(word)
            if fault is not None:
                raise RefusedError(int((places == place).argmax()), fault)
        return self._known.setdefault(word, len(self._known))

    def joined(self) -> Any:
        """Categories in order, where there are few values; else references to words."""
        codes = self._codes.values
        words = np.array([*self._known, np.nan], dtype=object)  # the last is what is missing
        if not self._sorted:
            return pd.array(words[codes], dtype=_SHARED)
        order = sorted(self._known)
        ranks = np.array([*np.argsort([self._known[word] for word in order]), -1], dtype=codes.dtype)
        kind = "int64" if self._column.kind is Kind.INT else "str"
        return pd.Categorical.from_codes(ranks[codes], categories=pd.Index(order, dtype=kind))


class _Numbers(_Checked):
    """Integers, floats or flags."""

    def __init__(self, column: Column, table: Table[Any]) -> None:
        super().__init__(column, table)
        self._values = _Buffer(_DTYPES[column.kind])
        self._gaps = _Buffer(np.bool_)

    def add(self, piece: pa.Array[Any]) -> None:
        """The least and the largest integer stand for all of them: what is asked of integers are limits."""
        missing = piece.is_null().to_numpy(zero_copy_only=False)
        self._check_there(missing)
        if self._column.kind is Kind.FLOAT:  # too many to look at each
            values = piece.to_numpy(zero_copy_only=False)
            infinite = ~(np.isfinite(values) | missing)
            if infinite.any():
                raise RefusedError(int(infinite.argmax()), "is not finite")
        else:
            values = piece.fill_null(0).to_numpy(zero_copy_only=False)
            self._check_limits(values, missing)
            self._gaps.add(missing)
        self._values.add(values.astype(bool) if self._column.kind is Kind.FLAG else values)

    def _check_limits(self, values: NDArray[Any], missing: NDArray[np.bool_]) -> None:
        there = values[~missing]
        if not len(there):
            return
        ends = {int(there.min()), int(there.max())}
        if any(self._fault(end) for end in ends):
            for place in np.flatnonzero(~missing):
                fault = self._fault(int(values[place]))
                if fault is not None:
                    raise RefusedError(int(place), fault)

    def joined(self) -> Any:
        """As pandas has them, integers with gaps."""
        values = self._values.values
        return pd.arrays.IntegerArray(values, self._gaps.values) if self._column.kind is Kind.INT else values
