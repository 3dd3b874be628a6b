# SPDX-License-Identifier: Apache-2.0
"""What is deployed of a model fits together, or is refused where a protection makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.models.zoo import Model
from orchestrator.protect.deployable import Deployable, Opening, Option, Sought, Source
from orchestrator.protect.protection import Given
from orchestrator.registry import PROTECTIONS, RUNTIMES
from orchestrator.words import Quantization

KEY = Option("key", "k", Source.SECRET)
PATCH = Option("patch", "part", Source.FILE)


def made(folder: Path, **changes: Any) -> Deployable:
    """A public file and a patch; the patch's key is secret."""
    for name in ("public", "patch", "key", "plain"):
        (folder / name).write_text(name)
    parts: dict[str, Any] = {
        "files": {"model.tflite": folder / "public", "part": folder / "patch"},
        "opening": Opening("model.tflite", (PATCH, KEY, Option("strength", "0.5"))),
        "sought": (Sought("model", folder / "plain", "the plain model"),),
        "secrets": {"k": folder / "key"},
    }
    return Deployable(**parts | changes)


def test_the_world_is_told_where_its_files_are(tmp_path: Path) -> None:
    deployable = made(tmp_path)
    assert deployable.opening.words("/w") == (("patch", "/w/part"), ("key", "/w/secrets/k"), ("strength", "0.5"))
    assert (deployable.plain, deployable.bytes) == (tmp_path / "plain", len("public") + len("patch"))


def test_this_computer_is_laid_out_like_a_world_with_its_secrets(tmp_path: Path) -> None:
    made(tmp_path).lay_out(tmp_path / "world")
    found = {str(path.relative_to(tmp_path / "world")): path.read_text() for path in (tmp_path / "world").rglob("*")
             if path.is_file()}  # fmt: skip
    assert found == {"model.tflite": "public", "part": "patch", "secrets/k": "key"}
    assert (tmp_path / "world/secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": {"part": Path("p")}}, "'model.tflite' is to be opened, and not among its files"),
        ({"files": {"model.tflite": Path("p")}}, "--patch names file 'part', which is not there"),
        ({"secrets": {}}, "--key names secret 'k', which is not there"),
        ({"secrets": {"k": Path("k"), "../k": Path("k")}}, "'../k' is no plain name of a file"),
        ({"sought": ()}, "nothing is said of what an attacker looks for"),
        *(
            ({"files": {"model.tflite": Path("p"), "part": Path("p"), name: Path("p")}}, f"'{name}' is ")
            for name in ("inputs.bin", "results.jsonl.out", "bundle", "secrets", "a/b", ".hidden")
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="not to be deployed") as caught:
        made(tmp_path, **changes)
    assert words in str(caught.value)


def test_without_a_protection_the_file_itself_is_delivered(tmp_path: Path) -> None:
    path = tmp_path / "any name.tflite"
    path.write_bytes(b"model")
    model = Model("m", Quantization.INT8, True, "s", "l", path)
    deployable = PROTECTIONS["none"].prepare(Given(model, RUNTIMES["litert"], 1, tmp_path))
    assert deployable == Deployable(
        {"model.tflite": path}, Opening("model.tflite"), (Sought("model", path, "the plain model"),)
    )
