# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a picture is what the model gets, or a line that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import UsageError
from orchestrator.models.pictures import picture
from orchestrator.schema.zoo import Preparation

PLAIN = Preparation()
STRETCH = Preparation(resize="stretch")


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.paste((0, 0, 255), (8, 0, 16, 16))
    return image


def test_a_camera_that_lay_on_its_side(tmp_path: Path) -> None:
    """EXIF orientation 6: the picture is shown turned by a quarter to the right, so its left is on top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    halves().save(tmp_path / "p.png", exif=exif)
    seen = picture(tmp_path / "p.png", (8, 8, 3), PLAIN)
    assert (seen[:3] == [255, 0, 0]).all()
    assert (seen[5:] == [0, 0, 255]).all()


def test_sixteen_bits_of_grey_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 8).round().astype(np.uint16), (8, 1))
    for name in ("p.png", "p.tiff"):
        Image.fromarray(ramp).save(tmp_path / name)
        seen = picture(tmp_path / name, (8, 8, 1), STRETCH)
        assert seen[0, :, 0].tolist() == (ramp[0] / 257).round().astype(int).tolist(), name


def test_what_is_transparent_is_on_the_background(tmp_path: Path) -> None:
    logo = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    logo.paste((0, 0, 0, 255), (0, 0, 8, 4))
    logo.save(tmp_path / "logo.png")
    grey = Image.new("LA", (8, 8), (0, 0))
    grey.paste((0, 255), (0, 0, 8, 4))
    grey.save(tmp_path / "grey.png")
    palette = logo.convert("P")
    palette.info["transparency"] = palette.getpixel((0, 7))
    palette.putpalette([0, 0, 0] * 256)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 7)))
    for name in ("logo.png", "grey.png"):
        assert picture(tmp_path / name, (8, 8, 1), PLAIN)[:, 0, 0].tolist() == [0] * 4 + [255] * 4, name
        dark = picture(tmp_path / name, (8, 8, 3), Preparation(background=40))
        assert dark[:, 0, 1].tolist() == [0] * 4 + [40] * 4


def test_palettes(tmp_path: Path) -> None:
    halves().convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png")
    seen = picture(tmp_path / "p.png", (8, 8, 3), PLAIN)
    assert (seen[:, :3] == [255, 0, 0]).all()
    mask = Image.new("P", (8, 8), 1)
    mask.putpalette([0, 0, 0, 0, 200, 0])
    mask.paste(0, (0, 0, 8, 4))
    mask.save(tmp_path / "hole.png", transparency=0)
    assert picture(tmp_path / "hole.png", (8, 8, 3), PLAIN)[:, 0].tolist() == [[255] * 3] * 4 + [[0, 200, 0]] * 4


def test_inks(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "p.tiff")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "p.jpg", quality=95)
    for name in ("p.tiff", "p.jpg"):
        red, green, blue = (int(each) for each in picture(tmp_path / name, (8, 8, 3), PLAIN)[4, 4])
        assert red > 240, name
        assert max(green, blue) < 15, name


def test_a_picture_whose_white_nobody_knows_is_refused(tmp_path: Path) -> None:
    fractions = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(fractions).save(tmp_path / "f.tiff")
    Image.fromarray((fractions * 2**30).astype(np.int32)).save(tmp_path / "i.tiff")
    for name, words in (
        ("f.tiff", "mode F: its numbers are fractions"),
        ("i.tiff", "mode I: its numbers have 32 bits"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            picture(tmp_path / name, (8, 8, 1), PLAIN)
        assert ".npy" in str(caught.value.hint)


def test_files_that_are_none(tmp_path: Path) -> None:
    halves().save(tmp_path / "half.png")
    content = (tmp_path / "half.png").read_bytes()
    for name, part in (("half.png", content[: len(content) // 2]), ("text.png", b"nothing"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(UsageError, match=f"{name}: no picture"):
            picture(tmp_path / name, (8, 8, 3), PLAIN)
    with pytest.raises(UsageError, match="no such file"):
        picture(tmp_path / "none.png", (8, 8, 3), PLAIN)


# --- size -------------------------------------------------------------------------------------------------------------


def test_the_middle_square_is_kept(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.save(tmp_path / "p.png")
    assert (picture(tmp_path / "p.png", (8, 8, 3), PLAIN)[:, 2:6] == [0, 0, 255]).all()
    image.paste((0, 255, 0), (100, 0, 200, 10))
    image.save(tmp_path / "p.png")
    assert (picture(tmp_path / "p.png", (8, 8, 3), PLAIN)[0, 2:6, 1] > 100).all()
    assert (picture(tmp_path / "p.png", (8, 8, 3), Preparation(crop=0.6))[0, 2:6, 1] == 0).all(), "nor is the border"


def test_the_middle_has_the_proportions_of_the_model(tmp_path: Path) -> None:
    """A square of a picture in a model that is twice as wide stays a square."""
    image = Image.new("L", (200, 200), 0)
    image.paste(255, (80, 80, 120, 120))
    image.save(tmp_path / "p.png")
    seen = picture(tmp_path / "p.png", (50, 100, 1), Preparation(filter="nearest"))[..., 0] > 128
    assert seen.any(axis=0).sum() == seen.any(axis=1).sum() == 20


def test_all_of_it_with_a_border_or_stretched(tmp_path: Path) -> None:
    Image.new("RGB", (300, 100), (255, 255, 255)).save(tmp_path / "p.png")
    fitted = picture(tmp_path / "p.png", (9, 9, 3), Preparation(resize="fit", border=7, filter="nearest"))
    assert fitted[:, 0, 0].tolist() == [7] * 3 + [255] * 3 + [7] * 3
    assert (picture(tmp_path / "p.png", (9, 9, 3), STRETCH) == 255).all()
