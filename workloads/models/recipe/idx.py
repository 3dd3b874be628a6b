# SPDX-License-Identifier: Apache-2.0
"""Reads the IDX files that the MNIST family of data sets comes in."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_UINT8 = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in a gzipped IDX file of bytes; raises ValueError if it is something else.

    Format: two zero bytes, element type, number of dimensions, each dimension as big-endian uint32, the elements.
    """
    data = gzip.decompress(path.read_bytes())
    zeros, kind, dimensions = struct.unpack_from(">HBB", data)
    if zeros or kind != _UINT8:
        raise ValueError(f"{path}: no IDX file of bytes")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
