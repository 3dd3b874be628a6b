# SPDX-License-Identifier: Apache-2.0
"""Types of tensors, by the names that the runtime has for them, and the numbers that stand in their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orchestrator.schema.zoo import TensorDescription

    Reals = NDArray[np.float64]

DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT16": np.dtype("<f2"),
    "FLOAT32": np.dtype("<f4"),
    "FLOAT64": np.dtype("<f8"),
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
}


def is_float(tensor: TensorDescription) -> bool:
    """Whether its numbers are stored as they are meant, with a fraction."""
    return DTYPES[tensor.type].kind == "f"


def is_quantized(tensor: TensorDescription) -> bool:
    """Whether its whole numbers stand for others."""
    return tensor.scale != 0 and not is_float(tensor)


def real(data: bytes, tensor: TensorDescription) -> Reals:
    """The numbers that the bytes of a tensor stand for, in its order; raises ValueError for another length."""
    if len(data) != tensor.bytes:
        raise ValueError(f"{len(data)} bytes, {tensor.name} has {tensor.bytes}")
    raw: Reals = np.frombuffer(data, DTYPES[tensor.type]).astype(np.float64)
    return (raw - tensor.zero_point) * float(tensor.scale) if is_quantized(tensor) else raw


def stored(values: NDArray[Any], tensor: TensorDescription) -> NDArray[Any]:
    """Numbers in the type of a tensor: round(value / scale) + zero point where it is quantized, saturated.

    As the TFLite 8-bit specification has it; whole numbers that are not quantized are rounded and saturated.
    """
    dtype = DTYPES[tensor.type]
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    if dtype.kind == "b":
        return values.astype(bool)
    if dtype.kind == values.dtype.kind == "i" and not is_quantized(tensor):
        kept: NDArray[Any] = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
        return kept
    scaled = np.rint(values / np.float32(tensor.scale or 1.0)) + (tensor.zero_point if is_quantized(tensor) else 0)
    limits = np.iinfo(dtype)
    # A float has no exact neighbour of the largest 64-bit number: what is beyond is cut before it is converted.
    low, high = np.nextafter(float(limits.min), 0), np.nextafter(float(limits.max), 0)
    wide = dtype.itemsize > 4
    saturated: NDArray[Any] = np.clip(scaled, low if wide else limits.min, high if wide else limits.max).astype(dtype)
    return saturated
