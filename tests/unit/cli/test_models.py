# SPDX-License-Identifier: Apache-2.0
"""`orch models` where nothing has to be built."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.context import Context
from orchestrator.cli.models import models
from orchestrator.errors import OrchError, UsageError
from orchestrator.models import evaluation
from orchestrator.models.evaluation import Evaluation
from orchestrator.models.oracle import Oracle
from orchestrator.models.zoo import Model, Zoo


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def orch_models(*arguments: str) -> str:
    done = CliRunner().invoke(models, arguments, obj=Context(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_list_tells_trained_from_random_weights() -> None:
    rows = {line.split()[0]: line for line in orch_models("list").splitlines()}
    assert "trained" in rows["fashion_cnn"]
    assert "91.05% / 91.11%" in rows["fashion_cnn"]
    assert "28 x 28 x 1" in rows["fashion_cnn"]
    assert "4 of 4" in rows["efficientnet_lite0"], "four photos are no percentage"
    for name in ("alexnet", "resnet18", "mobilenet_v1_1.0_224"):
        assert "random" in rows[name]
        assert "%" not in rows[name]


def test_show() -> None:
    shown = orch_models("show", "resnet18")
    assert "random: for timing only, its answers mean nothing" in shown
    assert "resnet18_int8.tflite" in shown
    assert "architectures/build.py, node model-resnet18" in shown
    assert "9 ankle boot" in orch_models("show", "fashion_cnn")
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        orch_models("show", "resnet")


def test_verify_tells_each_file_and_fails_if_one_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = {"float32": Evaluation(9105, 10000, True, ()), "int8": Evaluation(9111, 10000, False, ())}
    monkeypatch.setattr(Zoo, "build", lambda _zoo, wanted, _builder: wanted)
    monkeypatch.setattr(Zoo, "data", lambda *_: {"fashion-mnist": Path("data")})
    monkeypatch.setattr(Oracle, "built", lambda _builder: None)

    def verify(model: Model, *_: object) -> Evaluation:
        return verdicts[model.quantization]

    monkeypatch.setattr(evaluation, "verify", verify)
    assert orch_models("verify", "fashion_cnn").splitlines() == [
        "fashion_cnn float32: ok: 9105 of 10000 right, the stated bytes",
        "fashion_cnn int8: ok: 9111 of 10000 right, other bytes than stated",
    ]
    verdicts["int8"] = Evaluation(9000, 10000, True, ("accuracy 0.9000, stated is 0.9111",))
    with pytest.raises(OrchError, match="1 of 2 files are not what their model") as caught:
        orch_models("verify", "fashion_cnn")
    assert caught.value.exit_code == 1
