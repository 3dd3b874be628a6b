# SPDX-License-Identifier: Apache-2.0
"""A detector and two models of landmarks, as a public wheel has them, by `orch run` in all worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from emulated import Bed, build

DETECTOR, FACE, IRIS = "face_detection_short_range", "face_landmark", "iris_landmark"


def workload(models: Path, photos: Path) -> dict[str, object]:
    """The three on a photo of a face, each with its own preparation and its own way of reading."""

    def model(name: str, mean: float, output: dict[str, object]) -> dict[str, object]:
        preprocess = {"mean": mean, "std": 127.5 if mean else 255, "resize": "fit"}
        inputs = {"files": [str(photos / "astronaut.png")], "preprocess": preprocess}
        return {"name": name, "path": str(models / f"{name}.tflite"), "inputs": inputs, "output": output}

    return {
        "name": "faces",
        "models": [
            model(DETECTOR, 127.5, {"read": "detections", "boxes": "regressors", "scores": "classificators", "top": 3}),
            model(FACE, 0, {"read": "keypoints", "tensor": "conv2d_20", "dims": 3}),
            model(IRIS, 0, {"read": "keypoints", "tensor": "output_iris", "dims": 3}),
        ],
        "timing": {"mode": "fast"},
        "iterations": 2,
        "warmups": 1,
    }


@pytest.mark.timeout(900)
def test_a_detector_and_landmarks_in_all_worlds(bed: Bed, tmp_path: Path) -> None:
    file = tmp_path / "faces.yaml"
    file.write_text(yaml.safe_dump(workload(build(bed, "face-models"), build(bed, "data-photos"))), encoding="utf-8")
    done = bed.orch("run", str(file), "--results", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr
    (folder,) = (path for path in (tmp_path / "results").iterdir() if path.is_dir())
    samples = pd.read_csv(folder / "samples.csv")
    assert set(samples["status"]) == {"ok"}
    steps = samples[samples["metric"] == "oracle_difference"]
    assert len(steps) == 9, "three models in three worlds"
    run = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    quantizations = {cell["model"]: cell["quantization"] for cell in run["cells"]}
    assert quantizations == {DETECTOR: "float16", FACE: "float32", IRIS: "float32"}
    for cell in run["cells"]:
        found = steps[steps["cell_id"] == cell["cell_id"]]["value"].max()
        assert cell["oracle"]["kernels"] == dict.fromkeys(("xnnpack", "builtin", "reference"), "ok")
        assert 0 < found <= max(output["allowed"] for output in cell["oracle"]["outputs"])
    face = next(cell for cell in run["cells"] if cell["model"] == FACE)
    points = outputs(folder, face["cell_id"], "keypoints")
    assert points.shape == (468, 3)
    assert np.abs(points).max() > 100, "pixels, for which an absolute 1e-4 is nothing"
    assert "Against the oracle" in (folder / "report.html").read_text(encoding="utf-8")


def outputs(folder: Path, cell: str, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The first answer of a cell, which is that of all worlds."""
    import json

    (path,) = folder.glob(f"shards/boot-*/outputs/{cell}.jsonl")
    return np.array(json.loads(path.read_text(encoding="utf-8").splitlines()[0])[kind])
