# SPDX-License-Identifier: Apache-2.0
"""A run's folder: made, held by one, described by a file that its reader understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import EnvError, UsageError
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.run_file import RUN_FILE


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "results", "w")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("[1]", "Input should be a valid dictionary"),
        ("{}", "status: missing"),
        ("a: [", "not valid YAML: "),
        ("a: \x07", "not valid YAML: "),
        ("{status: ok, workload: {}, testbed: 3}", "testbed: Input should be a valid dictionary"),
        ("{status: ok, testbed: {}, git: {}}", "tools: missing"),
    ],
)
def test_a_run_file_that_is_none(run: RunFolder, text: str | None, problem: str) -> None:
    if text is not None:
        (run.folder / RUN_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        run.read_run()
    assert caught.value.message.startswith(f"{run.folder}/run.yaml: {problem}")
    assert "\n" not in caught.value.message


def test_runs_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for results in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UsageError, match=rf"^{results}: no folder for runs: Not a directory$"):
            RunFolder.create(results, "w")


def test_two_do_not_write_to_one_run(run: RunFolder) -> None:
    with run.held(), pytest.raises(EnvError, match="another orch"), run.held():
        pass
