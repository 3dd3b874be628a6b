# SPDX-License-Identifier: Apache-2.0
"""Test images and labels from IDX to .npy files: `python3 arrays.py DATASET_FOLDER OUT_FOLDER`.

The standard library does: both formats are a header before the same bytes, and a data set should not need TensorFlow.
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

FIRST = 64
_UINT8 = 0x08


def read_idx(path: Path) -> tuple[list[int], bytes]:
    """Shape and elements of a gzipped IDX file of bytes (zero, zero, type, dimensions, big-endian sizes, elements)."""
    data = gzip.decompress(path.read_bytes())
    zeros, kind, dimensions = struct.unpack_from(">HBB", data)
    if zeros or kind != _UINT8:
        raise ValueError(f"{path}: no IDX file of bytes")
    shape = list(struct.unpack_from(f">{dimensions}I", data, 4))
    return shape, data[4 + 4 * dimensions :]


def npy(shape: list[int], elements: bytes) -> bytes:
    """A .npy file, version 1.0, of uint8 in C order; the header is padded so that the elements start at 64 n."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}"
    padded = text.ljust(-(-(len(text) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode() + elements


def main(dataset: Path, out: Path) -> None:
    """Write test_images.npy, test_labels.npy, first_images.npy and first_labels.npy; images are [N, 28, 28, 1]."""
    for name, source in (("images", "t10k-images-idx3-ubyte.gz"), ("labels", "t10k-labels-idx1-ubyte.gz")):
        shape, elements = read_idx(dataset / source)
        each = len(elements) // shape[0]
        rest = [*shape[1:], 1] if shape[1:] else []
        (out / f"test_{name}.npy").write_bytes(npy([shape[0], *rest], elements))
        (out / f"first_{name}.npy").write_bytes(npy([FIRST, *rest], elements[: FIRST * each]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
