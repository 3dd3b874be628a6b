# SPDX-License-Identifier: Apache-2.0
"""Photos as arrays, and crops of them to calibrate quantization with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = {".png", ".jpg"}


def open_photos(folder: Path) -> list[Image.Image]:
    """The photos of a folder in the order of their names, as RGB."""
    return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]


def crops(photos: Iterable[Image.Image], size: int) -> NDArray[np.float32]:
    """Of each photo the middle and the four corners, each also mirrored, as [N, size, size, 3] in 0..255."""
    found = []
    for photo in photos:
        side = round(min(photo.size) * 0.875)
        right, bottom = photo.width - side, photo.height - side
        for left, top in ((right // 2, bottom // 2), (0, 0), (right, 0), (0, bottom), (right, bottom)):
            box = (left, top, left + side, top + side)
            image = np.asarray(photo.resize((size, size), Image.Resampling.BICUBIC, box), np.float32)
            found += [image, image[:, ::-1]]
    return np.stack(found)
