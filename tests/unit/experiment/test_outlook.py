# SPDX-License-Identifier: Apache-2.0
"""What `--dry-run` says of time and disk: about right, and by what was seen here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from orchestrator.build.builder import Builder
from orchestrator.cli.context import Context
from orchestrator.cli.run import run
from orchestrator.experiment import outlook
from orchestrator.experiment.outlook import macs_of
from orchestrator.experiment.plan import cells_of, plan
from orchestrator.models.zoo import Zoo
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load, loads

ROOT = Path(__file__).resolve().parents[3]
SMALL = "name: w\nmodels: fashion_cnn\n"


def seconds(text: str, *changes: str) -> float:
    workload = loads(text, "w.yaml", Workload, changes)
    cells = cells_of(workload)
    return outlook.outlook(plan(workload).values(), workload, macs_of(cells, Zoo.load(ROOT))).seconds


def test_the_quickstart_takes_what_the_documents_say() -> None:
    """On the reference computer: of the 240 s of docs/running.md 2.6 s are orchestration."""
    told = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    assert "everything built: 240 s" in told
    workload = load(ROOT / "workloads/quickstart.yaml", Workload)
    cells = cells_of(workload)
    found = outlook.outlook(plan(workload).values(), workload, macs_of(cells, Zoo.load(ROOT)))
    assert 240 / 1.5 < found.seconds < 240 * 1.5


def test_more_takes_longer() -> None:
    once = seconds(SMALL)
    for change in ("boots=3", "iterations=1000", "memory_mib=1024", "attacks=memory-scan", "quantization=float32"):
        assert seconds(SMALL, change) > once, change
    assert seconds(SMALL, "worlds=host") < once
    assert seconds(SMALL, "pretouch=false") < once
    assert seconds(SMALL, "boots=2") == pytest.approx(2 * once)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is, and this computer is the reference."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Builder, "plan", lambda *_: [])
    monkeypatch.setattr(outlook, "pace", lambda: 1.0)


Dry = Callable[..., list[str]]


@pytest.fixture
def dry(tmp_path: Path) -> Dry:
    def told(*words: str) -> list[str]:
        (tmp_path / "w.yaml").write_text(SMALL, encoding="utf-8")
        arguments = [str(tmp_path / "w.yaml"), "--dry-run", "--results", str(tmp_path / "results"), *words]
        done = CliRunner().invoke(run, arguments, obj=Context())
        assert done.exit_code == 0, done.exception
        return done.output.splitlines()

    return told


@pytest.mark.usefixtures("built")
def test_the_last_line_is_time_and_disk(dry: Dry, tmp_path: Path) -> None:
    line = dry()[-1]
    assert re.fullmatch(
        rf"about \d+ (s|min) and \d+ MB of {tmp_path}/results, going by how fast this computer is; .*", line
    )
    (one,), (two,) = (
        re.findall(r"about (\d+) min", dry("--set", "boots=8", *words)[-1]) for words in ([], ["--workers", "2"])
    )
    assert int(one) == pytest.approx(2 * int(two), abs=2)


@pytest.mark.usefixtures("built")
def test_the_newest_whole_run_here_sets_the_pace(dry: Dry, tmp_path: Path) -> None:
    reference = seconds(SMALL)
    for name, slower, status in (("w-1", 5, "ok"), ("w-2", 10, "ok"), ("w-3", 50, "failed"), ("broken", 0, "ok")):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        facts = {
            "schema_version": 2, "run_id": name, "name": "w", "status": status, "started_utc": f"2026-01-0{name[-1]}",
            "workload": loads(SMALL, "w.yaml", Workload).model_dump(mode="json") if slower else {"models": 3},
            "cost": {"emulation_s": slower * reference, "workers": 1},
        }  # fmt: skip
        (folder / "run.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    line = dry()[-1]
    assert line.endswith(", going by w-2")
    (minutes,) = re.findall(r"about (\d+) min", line)
    assert int(minutes) == pytest.approx(10 * reference / 60, abs=1.5)


def test_what_has_to_be_built_before_is_told(dry: Dry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(outlook, "pace", lambda: 1.0)
    *_, before, last = dry()
    assert re.fullmatch(
        r"before that \d+ artifacts are built: about \d+ min, [\d,]+ MiB of the cache, and downloads", before
    )
    assert last.startswith("about ")
