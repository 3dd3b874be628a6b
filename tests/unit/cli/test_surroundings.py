# SPDX-License-Identifier: Apache-2.0
"""Users without a name, a home or a terminal, and what is told of what cannot be done there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import Cell, Plan, make_run

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "from orchestrator.cli.start import entry; entry()"
# As of a user whom the system does not know.
NOBODY = f"import pwd\ndef none(_): raise KeyError\npwd.getpwuid = none\n{PROGRAM}"
PLAN = Plan(name="night", cells=(Cell(),), boots=2, iterations=3, warmups=1)


def orch(*words: str, program: str = PROGRAM, **given: str | None) -> subprocess.CompletedProcess[str]:
    wanted = {**os.environ, "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": None, **given}
    env = {key: value for key, value in wanted.items() if value is not None}
    argv = [sys.executable, "-c", program, *words]
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=ROOT, env=env, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str | None]:
    """Folders of the test's own, and no home."""
    return {"HOME": None, "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_a_user_without_a_name_and_a_home(alone: dict[str, str | None], tmp_path: Path) -> None:
    run = make_run(tmp_path, PLAN, privacy=False)
    for words in (["status"], ["report", str(run)]):
        done = orch(*words, program=NOBODY, **alone)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert (run / "report.html").exists()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_nowhere_to_write_is_one_line(alone: dict[str, str | None], variable: str) -> None:
    done = orch("status", program=NOBODY, **(alone | {variable: None}))
    assert done.returncode == 6
    assert done.stderr == (
        f"error: this user has no home folder\n  hint: set HOME, or {variable}, to a folder you can write to\n"
    )
    assert not (ROOT / "~").exists()


def test_a_home_that_cannot_be_written_to() -> None:
    """Not by root either."""
    home = "/proc"
    given: dict[str, str | None] = {"HOME": home, "XDG_CACHE_HOME": None, "XDG_STATE_HOME": None}
    assert orch("status", **given).returncode == 0
    for words in (["up"], ["build", "rmm"], ["measure"]):
        done = orch(*words, **given)
        lines = done.stderr.splitlines()
        assert (done.returncode, len([line for line in lines if line.startswith("error: ")])) == (6, 1), done.stderr
        assert f"{home}/" in done.stderr
        assert "XDG_CACHE_HOME" in lines[-1]


def test_tables_need_no_home_that_can_be_written_to(tmp_path: Path) -> None:
    run = make_run(tmp_path, PLAN, privacy=False)
    done = orch("report", str(run), HOME="/proc", XDG_CACHE_HOME=None, XDG_STATE_HOME=None, XDG_CONFIG_HOME=None)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("ignored", "code"), [(True, 0), (False, 129)])
def test_a_hang_up_that_is_ignored_stays_so(alone: dict[str, str | None], ignored: bool, code: int) -> None:
    """`nohup orch run …` outlives its terminal."""
    program = (
        "import time, orchestrator.cli.main as main\n"
        "@main.orch.command('wait')\n"
        "def wait():\n    print('here', flush=True); time.sleep(1)\n"
        "main.entry()"
    )
    env = {**os.environ, **{key: value for key, value in alone.items() if value}, "PYTHONPATH": str(ROOT)}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignored else None
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "wait"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    finally:
        if before is not None:
            signal.signal(signal.SIGHUP, before)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == code
    process.stdout.close()


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 1, 2)])
def test_descriptors_that_are_closed(alone: dict[str, str | None], closed: tuple[int, ...]) -> None:
    closing = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    env = {**os.environ, **{key: value for key, value in alone.items() if value}, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" status {closing}', sys.executable, PROGRAM],
        capture_output=True, text=True, check=False, env=env, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
