# SPDX-License-Identifier: Apache-2.0
"""CSV files whose rows are pydantic models: columns and types from the model, appends that survive a crash.

UTF-8, `.` decimals, an empty field is a missing value, flags are 0 and 1, quoting as in RFC 4180. A line is a record:
text holds no control characters, so a line without its end is a torn one. Lines end in LF, as in a run's other files.
"""

from __future__ import annotations

import csv
import datetime
import enum
import io
import itertools
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import EnvError, UsageError
from orchestrator.files import replace_file, sync_folder, whole_bytes
from orchestrator.schema.yamlfile import Strict

# What pandas.read_csv takes for a missing value when it is given no options (pandas 3.1, io.tools "NA values").
PANDAS_MISSING = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
NOTHING = "-"  # a note that says nothing, where no field of its column may be empty
VERSION = "schema_version"
"""The column that says the version of a table's columns, where it has one."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"
_LONGEST = 4096  # characters of a text
_PIECE_ROWS = 10_000
_EXACT = 2**53  # integers up to here are exact in a 64-bit float


def _plain(text: str) -> str:
    """Text that every reader takes for text: one line, no missing value, no number, no truth value."""
    if _CONTROL.search(text):
        raise ValueError("holds control characters")
    if text in PANDAS_MISSING or text.lower() in {"true", "false"}:
        raise ValueError(f"'{text}' would be read as a missing or a truth value")
    try:
        float(text)
    except ValueError:
        return text
    raise ValueError(f"'{text}' would be read as a number; give it a word")


def _one_line(value: object) -> object:
    """Free text as one line, cut where it is too long; what a reader would take for missing is missing."""
    if not isinstance(value, str):
        return value
    line = _CONTROL.sub(" ", value).strip()
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - 1]}…"
    return None if line in PANDAS_MISSING or line == NOTHING else line


def _missing(value: object) -> object:
    return None if value == "" else value


def _moment(text: str) -> str:
    """A moment that there is: the pattern would take a 13th month."""
    datetime.datetime.fromisoformat(text)
    return text


Name = Annotated[str, AfterValidator(_plain)]
Note = Annotated[str | None, BeforeValidator(_one_line)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), AfterValidator(_plain)]
Utc = Annotated[str, Field(pattern=UTC), AfterValidator(_moment)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Row(Strict):
    """Base of all rows: frozen, unknown columns are errors, an empty string is a missing value."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=_LONGEST)

    def fields(self) -> list[str]:
        """The row as it stands in the file, a string a column."""
        return [format_value(getattr(self, name)) for name in type(self).model_fields]


RowType = TypeVar("RowType", bound=Row)


def format_value(value: object) -> str:
    """One value as in a file: empty if missing, 0/1 for flags, integers without a point, floats that round-trip."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no value of a table")
        return str(int(value)) if value.is_integer() and abs(value) <= _EXACT else repr(value)
    return str(value)


class Kind(enum.StrEnum):
    """What a column holds: text, a 64-bit integer, a 64-bit float, a flag (0/1), a moment (ISO 8601, UTC)."""

    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    FLAG = "flag"
    UTC = "utc"


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, whether it can be missing, its meaning, and its values if they are few."""

    name: str
    kind: Kind
    optional: bool
    meaning: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edition:
    """A version of a table, and the columns that it lacks, each with what the rows of that time would have there."""

    version: int
    lacks: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Table(Generic[RowType]):
    """A kind of file: its rows' model, from which everything else follows.

    Files of an `older` edition are read as if they were of this `version`; whatever writes to one replaces it.
    Columns with `few` values have so of a long table as well: they are read as categories.
    """

    name: str
    row: type[RowType]
    version: int = 1
    older: tuple[Edition, ...] = ()
    few: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the order of the file."""
        return tuple(_column(self.row, name) for name in self.row.model_fields)

    @property
    def names(self) -> list[str]:
        """Names of the columns in the order of the file."""
        return list(self.row.model_fields)

    def adapter(self, column: str) -> TypeAdapter[Any]:
        """What a value of a column is checked with alone, without the rest of its row."""
        field, annotated = self.row.model_fields[column], typing.cast("Any", Annotated)
        return TypeAdapter(annotated[field.annotation, field])

    def text(self, rows: Iterable[RowType], *, header: bool = True) -> bytes:
        """The bytes of a file with these rows; the same rows always give the same bytes."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        if header:
            writer.writerow(self.names)
        writer.writerows(row.fields() for row in rows)
        return stream.getvalue().encode(errors="backslashreplace")  # notes may hold names that are no text

    def write(self, path: Path, rows: Iterable[RowType]) -> None:
        """Replace the file at once."""
        replace_file(path, self.text(rows), durable=True)

    def append(self, path: Path, rows: Iterable[RowType]) -> int:
        """Add rows, which have reached the disk on return; returns the file's new size, in bytes.

        Many rows are written in pieces. Nothing of them stays if one cannot be made or written (a full disk). Raises
        EnvError for a torn or foreign file.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = end = self._check_end(path, handle)
            try:
                for data in self._pieces(rows, header=size == 0):
                    _write_all(handle, data, end)
                    end += len(data)
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, size)
                raise
            if size == 0:
                sync_folder(path.parent)
            return end
        finally:
            os.close(handle)

    def _pieces(self, rows: Iterable[RowType], *, header: bool) -> Iterator[bytes]:
        """The bytes of rows, so many at a time that a long step takes no more memory than a short one."""
        left = iter(rows)
        while (piece := list(itertools.islice(left, _PIECE_ROWS))) or header:
            yield self.text(piece, header=header)
            header = False

    def repair(self, path: Path, *, size: int | None = None) -> int:
        """Cut a torn last line, and all behind `size` bytes (what `append` returned for the last cell that counts).

        Returns how many bytes were cut; a missing file is as good as an empty one. Raises EnvError if the file is
        shorter than `size`: rows that were there are lost.
        """
        if not path.exists():
            whole, end, last = 0, 0, b""
        else:
            with path.open("rb") as stream:
                whole, end = whole_bytes(stream), os.fstat(stream.fileno()).st_size
                stream.seek(max(0, (size or 1) - 1))
                last = stream.read(1)
        if size is not None and size > whole:
            raise EnvError(f"{path}: has {whole} bytes of whole lines, but {size} were written", hint="rows are lost")
        keep = whole if size is None else size
        if size and last != b"\n":
            raise EnvError(f"{path}: byte {keep} is not the end of a line", hint="the file was changed by others")
        if keep < end:
            with path.open("r+b") as stream:
                stream.truncate(keep)
                os.fsync(stream.fileno())
        return end - keep

    def retain(self, path: Path, keep: Callable[[Mapping[str, str]], bool]) -> int:
        """Drop whole rows for which `keep` is false, and a torn last line; returns how many rows were dropped.

        `keep` is given a row's fields as text by column. The file is replaced at once or, if nothing is to be dropped
        and its columns are those of this version, left alone.
        """
        self.repair(path)
        if not path.exists():
            return 0

        def stays(fields: list[str]) -> bool:
            return keep(dict(zip(self.names, fields, strict=True)))

        edition, found = self._read(path)
        dropped = sum(not stays(fields) for fields in found)
        if dropped or edition.version != self.version:
            replace_file(path, self._lines(fields for fields in self.records(path) if stays(fields)), durable=True)
        return dropped

    def upgrade(self, path: Path) -> None:
        """Give a file of an older version the columns of this one, at once; a torn last line goes."""
        self.retain(path, lambda _: True)

    def current(self, path: Path) -> bytes:
        """The bytes that a file would have in this version, without a torn last line."""
        return b"".join(self._lines(self.records(path)))

    def records(self, path: Path) -> Iterator[list[str]]:
        """The fields of all whole lines but the header, as text; raises UsageError for another header or width."""
        return self._read(path)[1]

    def _lines(self, records: Iterable[list[str]]) -> Iterator[bytes]:
        """A file with these records, line by line."""
        for fields in itertools.chain([self.names], records):
            stream = io.StringIO()
            csv.writer(stream, lineterminator="\n").writerow(fields)
            yield stream.getvalue().encode(errors="backslashreplace")  # notes may hold names that are no text

    def _read(self, path: Path) -> tuple[Edition, Iterator[list[str]]]:
        """The edition of a file, and its records as this version has them."""
        lines = csv.reader(_whole_lines(path))
        edition = self.check_header(path, next(lines, self.names))
        return edition, self._records(path, edition, lines)

    def _records(self, path: Path, edition: Edition, lines: Iterator[list[str]]) -> Iterator[list[str]]:
        columns = self.names
        names = [name for name in columns if name not in edition.lacks]
        for number, fields in enumerate(lines, start=2):
            if len(fields) != len(names):
                raise UsageError(f"{path}:{number}: {len(fields)} fields where there are {len(names)} columns")
            if edition.version == self.version:
                yield fields
                continue
            given = dict(zip(names, fields, strict=True))
            found = given.get(VERSION, str(edition.version))
            if found != str(edition.version):
                raise UsageError(f"{path}:{number}: {VERSION}: {edition.version} expected, found '{found}'")
            row = {**edition.lacks, **given, VERSION: str(self.version)}
            yield [row[name] for name in columns]

    def rows(self, path: Path) -> Iterator[RowType]:
        """All whole lines as checked rows; raises UsageError with the line of the first that is none."""
        for number, fields in enumerate(self.records(path), start=2):
            named = {name: _missing(field) for name, field in zip(self.names, fields, strict=True)}
            try:
                yield self.row.model_validate(named)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                raise UsageError(f"{path}:{number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def _check_end(self, path: Path, handle: int) -> int:
        """The size of a file to which can be appended: empty, or with our header and a whole last line."""
        size = os.fstat(handle).st_size
        if size == 0:
            return 0
        if os.pread(handle, 1, size - 1) != b"\n":
            raise EnvError(f"{path}: its last line is torn", hint="resume the run: that cuts it")
        header = self.text([])
        if os.pread(handle, len(header), 0) != header:
            raise EnvError(f"{path}: has other columns than this version of orch writes")
        return size

    def check_header(self, path: Path, header: list[str]) -> Edition:
        """The edition that has these columns in this order; raises UsageError if none has."""
        for edition in (Edition(self.version), *self.older):
            if header == [name for name in self.names if name not in edition.lacks]:
                return edition
        missing = [name for name in self.names if name not in header]
        extra = [name for name in header if name not in self.names]
        what = (
            f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(extra)}" if extra else "other order"
        )
        raise UsageError(f"{path}: not a {self.name} of this version: {what}", hint="results/README.md has the columns")


def _whole_lines(path: Path) -> Iterator[str]:
    """All lines but a torn last one."""
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line.decode(errors="replace")


def _write_all(handle: int, data: bytes, offset: int) -> None:
    """One write in all usual cases; a short one (signal, full disk) is gone on with, or raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view = view[written:]
        offset += written


def _column(row: type[Row], name: str) -> Column:
    """A column as the annotation of its field says."""
    field = row.model_fields[name]
    options = [option for option in _options(field.annotation) if option is not type(None)]
    plain = [typing.get_args(option)[0] if typing.get_origin(option) is Annotated else option for option in options]
    optional = len(options) < len(_options(field.annotation))
    meaning = field.description or ""
    for base, kind in ((bool, Kind.FLAG), (float, Kind.FLOAT), (int, Kind.INT)):
        if base in plain:
            return Column(name, kind, optional, meaning, ("0", "1") if kind is Kind.FLAG else ())
    if name.endswith("_utc"):
        return Column(name, Kind.UTC, optional, meaning)
    words = [option for option in plain if isinstance(option, type) and issubclass(option, enum.StrEnum)]
    # The name of something registered (schema/names.py): what there is at this moment.
    words += [each.registry for each in field.metadata if hasattr(each, "registry")]
    return Column(name, Kind.TEXT, optional, meaning, tuple(str(word) for option in words for word in option))


def _options(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in {typing.Union, types.UnionType}
    return typing.get_args(annotation) if union else (annotation,)
