# SPDX-License-Identifier: Apache-2.0
"""The smallest useful TFLite models, written here byte by byte: one fully connected layer that hands its input on.

FlatBuffers binary format, and the TFLite schema (version 3) as far as such a model needs it: numbers are field
positions in the schema's tables.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

FLOAT32, INT32, INT8 = 0, 2, 9  # TensorType of the schema
FULLY_CONNECTED, FULLY_CONNECTED_OPTIONS = 9, 8


@dataclass
class Table:
    """Scalars (struct formats) and references by field position."""

    scalars: dict[int, tuple[str, int]] = field(default_factory=dict)
    references: dict[int, object] = field(default_factory=dict)


@dataclass
class Vector:
    """Packed elements, aligned so that tensors can be used where they lie."""

    format: str
    values: list[float]


class Writer:
    """Writes each object behind those that refer to it, as unsigned offsets demand."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0\0\0\0TFL3")

    def finish(self, root: Table) -> bytes:
        self._refer(0, root)
        return bytes(self.data)

    def _align(self, size: int, ahead: int = 0) -> None:
        self.data += bytes(-(len(self.data) + ahead) % size)

    def _refer(self, at: int, target: object) -> None:
        struct.pack_into("<I", self.data, at, self._write(target) - at)

    def _write(self, target: object) -> int:
        if isinstance(target, Table):
            return self._table(target)
        if isinstance(target, Vector):
            body = struct.pack(f"<{len(target.values)}{target.format}", *target.values)
            return self._sized(len(target.values), body)
        if isinstance(target, str):
            return self._sized(len(target), target.encode() + b"\0")
        assert isinstance(target, list)
        start = self._sized(len(target), bytes(4 * len(target)))
        for i, each in enumerate(target):
            self._refer(start + 4 + 4 * i, each)
        return start

    def _sized(self, count: int, body: bytes) -> int:
        self._align(16, ahead=4)
        start = len(self.data)
        self.data += struct.pack("<I", count) + body
        return start

    def _table(self, table: Table) -> int:
        """Each field in four bytes of its own; the vtable lies right before."""
        used = sorted([*table.scalars, *table.references])
        slots = {position: 4 + 4 * i for i, position in enumerate(used)}
        entries = [slots.get(position, 0) for position in range(max(used, default=-1) + 1)]
        vtable = struct.pack(f"<{2 + len(entries)}H", 4 + 2 * len(entries), 4 + 4 * len(used), *entries)
        self._align(4, ahead=len(vtable))
        self.data += vtable
        start = len(self.data)
        self.data += struct.pack("<i", len(vtable)) + bytes(4 * len(used))
        for position, (format_, value) in table.scalars.items():
            struct.pack_into("<" + format_, self.data, start + slots[position], value)
        for position, target in table.references.items():
            self._refer(start + slots[position], target)
        return start


def _tensor(name: str, shape: list[int], kind: int, buffer: int, *, scale: float = 0.0, zero: int = 0) -> Table:
    table = Table({1: ("b", kind), 2: ("I", buffer)}, {0: Vector("i", [*shape]), 3: name})
    if scale:
        table.references[4] = Table({}, {2: Vector("f", [scale]), 3: Vector("q", [zero])})
    return table


def _model(tensors: list[Table], buffers: list[bytes], version: int) -> bytes:
    operator = Table({0: ("I", 0), 3: ("B", FULLY_CONNECTED_OPTIONS)}, {1: Vector("i", [0, 1, 2]), 2: Vector("i", [3])})
    operator.references[4] = Table({0: ("b", 0)})
    graph = Table({}, {0: tensors, 1: Vector("i", [0]), 2: Vector("i", [3]), 3: [operator], 4: "main"})
    code = Table({0: ("b", FULLY_CONNECTED), 2: ("i", version), 3: ("i", FULLY_CONNECTED)})
    stored = [Table({}, {0: Vector("B", [*each])}) if each else Table() for each in buffers]
    return Writer().finish(Table({0: ("I", 3)}, {1: [code], 2: [graph], 3: "identity", 4: stored}))


def identity(classes: int, *, scale: float = 0.0, zero: int = 0) -> bytes:
    """A model whose scores are its input: float32, or with a `scale` int8."""
    kind, weight = (INT8, 1 / 64) if scale else (FLOAT32, 0.0)
    diagonal = [float(row == column) * (64 if scale else 1) for row in range(classes) for column in range(classes)]
    tensors = [
        _tensor("picture", [1, classes], kind, 0, scale=scale, zero=zero),
        _tensor("weights", [classes, classes], kind, 1, scale=weight),
        _tensor("bias", [classes], INT32 if scale else FLOAT32, 2, scale=scale * weight),
        _tensor("scores", [1, classes], kind, 0, scale=scale, zero=zero),
    ]
    weights = (
        struct.pack(f"<{classes**2}b", *map(int, diagonal)) if scale else struct.pack(f"<{classes**2}f", *diagonal)
    )
    return _model(tensors, [b"", weights, bytes(4 * classes)], 4 if scale else 1)
