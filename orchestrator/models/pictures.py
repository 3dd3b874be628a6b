# SPDX-License-Identifier: Apache-2.0
"""Pictures as a person sees them: turned, on a background, in eight bits; what cannot be known is refused."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import UsageError
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]

Shape = tuple[int, int, int]
"""Height, width, channels."""
_PLAIN = {"1", "L", "RGB", "YCbCr", "HSV"}
_TRANSPARENT = {"LA", "La", "RGBA", "RGBa", "PA"}
_GREY16 = {"I;16", "I;16L", "I;16B", "I;16N"}
_WHITE16 = 257  # 65535 / 255
_REFUSED = {
    "F": "its numbers are fractions, and nothing says which of them is white",
    "I": "its numbers have 32 bits, and nothing says which of them is white",
    "LAB": "its colours are in the space LAB",
}


def picture(path: Path, shape: Shape, preparation: Preparation) -> Pixels:
    """A picture in the size of a model, `[height, width, channels]`, as `preparation` says; raises UsageError.

    The orientation that a camera noted is applied. What is transparent stands on `background`. Grey of 16 bits keeps
    its brightness. A picture whose white nobody knows is refused.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - costs 50 ms; most runs bring arrays

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            seen = _in_eight_bits(image, path, preparation.background)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path}: no picture: {' '.join(str(error).split())}") from None
    height, width, channels = shape
    resized = _resized(seen.convert("L" if channels == 1 else "RGB"), (width, height), preparation)
    pixels = np.asarray(resized, np.uint8).reshape(shape)
    return pixels[..., ::-1] if preparation.channels == "bgr" else pixels


def _in_eight_bits(image: Image, path: Path, background: int) -> Image:
    """Grey or colours of eight bits, without transparency."""
    from PIL import Image as Images  # noqa: PLC0415

    if image.mode in _REFUSED and not (image.mode == "I" and image.format == "PNG"):
        raise UsageError(
            f"{path}: mode {image.mode}: {_REFUSED[image.mode]}",
            hint="save it as a picture of 8 bits, or as an array (.npy) of prepared numbers",
        )
    if image.mode in _GREY16 or image.mode == "I":  # a PNG that says I has 16 bits
        return Images.fromarray((np.asarray(image).astype(np.uint32) / _WHITE16).round().astype(np.uint8))
    if image.mode == "CMYK":
        return _printed(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        over = image.convert("RGBA")
        under = Images.new("RGBA", over.size, (background, background, background, 255))
        return Images.alpha_composite(under, over).convert("RGB")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode not in _PLAIN:
        raise UsageError(f"{path}: mode {image.mode}: it is not known how such a picture looks")
    return image


def _printed(image: Image) -> Image:
    """Inks as light: by the profile that the picture has, else by the plain formula."""
    from PIL import ImageCms  # noqa: PLC0415

    profile = image.info.get("icc_profile")
    if profile:
        try:
            srgb = ImageCms.createProfile("sRGB")
            made = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(BytesIO(profile)), srgb, outputMode="RGB")
            if made is not None:
                return made
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is none
    return image.convert("RGB")


def _resized(image: Image, size: tuple[int, int], preparation: Preparation) -> Image:
    """In `size` (width, height), by the rule of the preparation."""
    from PIL import Image as Images  # noqa: PLC0415

    filters: dict[str, Any] = {each.name.lower(): each for each in Images.Resampling}
    how = filters[preparation.filter]
    if preparation.resize == "stretch":
        return image.resize(size, how)
    if preparation.resize == "fit":
        factor = min(size[0] / image.width, size[1] / image.height)
        inner = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        border = preparation.border
        made = Images.new(image.mode, size, border if image.mode == "L" else (border, border, border))
        made.paste(image.resize(inner, how), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
        return made
    part = min(image.width / size[0], image.height / size[1]) * preparation.crop
    left, top = (image.width - size[0] * part) / 2, (image.height - size[1] * part) / 2
    return image.resize(size, how, (left, top, left + size[0] * part, top + size[1] * part))
