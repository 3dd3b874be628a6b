# SPDX-License-Identifier: Apache-2.0
"""Reads the weights in a PyTorch checkpoint of the format before 1.6, without PyTorch and without running its code.

The format: four pickles (magic, version, facts about the machine, the state dictionary whose tensors point to
storages), a pickled list of the keys of storages, then each storage: its number of elements as little-endian int64
and the elements.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


@dataclass
class _Storage:
    """Elements that tensors are views of; filled after the pickles were read."""

    dtype: np.dtype[Any]
    size: int
    data: NDArray[Any] | None = None


@dataclass
class _View:
    """A tensor: shape and strides (in elements) over a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """The tensor's elements; raises ValueError if they are not all in the storage."""
        data = self.storage.data
        reach = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        if data is None or self.offset < 0 or min((*self.strides, 0)) < 0 or reach >= len(data):
            raise ValueError("the checkpoint is damaged: a tensor lies outside its storage")
        bytes_per_step = tuple(step * data.itemsize for step in self.strides)
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, bytes_per_step).copy()


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _View:
    return _View(storage, offset, shape, strides)


# All that a checkpoint may name; whatever else it asks for is refused, so reading one runs no code of its author.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows four names."""

    def __init__(self, stream: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(stream, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """One of the four names; anything else raises UnpicklingError."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage that a tensor points to."""
        kind, dtype, key, _location, size, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"the checkpoint points to {pid!r}")
        return self._storages.setdefault(key, _Storage(dtype, size))


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Name to array of every tensor in the state dictionary; raises ValueError or UnpicklingError."""
    storages: dict[str, _Storage] = {}
    with path.open("rb") as stream:
        magic, version, _machine, state = (_Reader(stream, storages).load() for _ in range(4))
        if (magic, version) != (_MAGIC, _VERSION):
            raise ValueError(f"{path}: no PyTorch checkpoint of the format before 1.6")
        for key in _Reader(stream, storages).load():
            _fill(storages[key], stream)
    return {name: view.array() for name, view in state.items()}


def _fill(storage: _Storage, stream: BinaryIO) -> None:
    (size,) = struct.unpack("<q", stream.read(8))
    data = stream.read(size * storage.dtype.itemsize)
    if size != storage.size or len(data) != size * storage.dtype.itemsize:
        raise ValueError("the checkpoint is damaged: a storage has another size than said")
    storage.data = np.frombuffer(data, storage.dtype)
