# SPDX-License-Identifier: Apache-2.0
"""The gate: a shell program that waits for a word, stops the spinner, marks, works, marks, and lets it spin again."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from orchestrator.experiment import gate
from orchestrator.experiment.gate import CountedExecution, arm_script, gate_script, runner_command
from orchestrator.experiment.phases import ALIGN_US, start_phase_us
from orchestrator.experiment.plan import cells_of
from orchestrator.protect.deployable import Opening
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.testbed.guest import GuestName
from orchestrator.words import World


def measurement(output: str = "scores") -> CountedExecution:
    cells = cells_of(loads(f"name: w\nmodels: fashion_cnn\noutput: {output}\n", "w.yaml", Workload))
    return CountedExecution(cells[0], Opening("model.tflite"), gate.ID_STEP, 4, 1, 5, seed=100)


def test_the_runner_is_told_all_that_the_cell_says() -> None:
    words = " ".join(runner_command(measurement(), GuestName(World.VM)))
    assert words.startswith("/tmp/orch/bundle/runner run --model /tmp/orch/model.tflite --inputs /tmp/orch/inputs.bin")
    for part in ("--iterations 4", "--warmups 1", "--threads 1", "--output scores", f"--id {gate.ID_STEP}"):
        assert part in words
    start = f"--align-us {ALIGN_US} --phase-us {start_phase_us(100, measurement().cell.cell_id)}"
    assert f"--arm {gate.PORT} {start} --say {gate.CONSOLE} orch: measured {gate.ID_STEP}" in words
    assert "--top" not in words
    assert "--top 5" in " ".join(runner_command(measurement("topk"), None))


def test_worlds_differ_in_where_the_runner_says_that_it_is_done() -> None:
    in_host, in_guest = (runner_command(measurement(), name) for name in (None, GuestName(World.REALM)))
    assert [pair for pair in zip(in_host, in_guest, strict=True) if len(set(pair)) > 1] == [
        (gate.SAID_FIFO, gate.CONSOLE)
    ]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that write down how they are called in place of the machine's, and a spinner."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("marker", "rvmm"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/called\n')
        (programs / name).chmod(0o755)
    bundle = tmp_path / "orch/bundle"
    bundle.mkdir(parents=True)
    state = "$(cut -d' ' -f3 /proc/$(cat " + str(tmp_path / "spin.pid") + ")/stat)"
    (bundle / "runner").write_text(f'#!/bin/sh\necho runner "$1" {state} >>{tmp_path}/called\nexit 3\n')
    (bundle / "runner").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(gate, "SETTLE_SECONDS", 1)  # who waits is there by then
    monkeypatch.setattr(gate, "EXITS", (f"{tmp_path}/before", f"{tmp_path}/after"))
    for name, path in (
        ("GO_FIFO", "go"),
        ("SPIN_PID", "spin.pid"),
        ("LOG", "log"),
        ("CODE", "code"),
        ("GATE_PID", "gate.pid"),
        ("RUNNER_PID", "runner.pid"),
        ("SAID_FIFO", "said"),
        ("NOISE", "noise"),
        ("FOLDER", "orch"),
    ):
        monkeypatch.setattr(gate, name, str(tmp_path / path))
    return tmp_path


def test_nothing_but_the_runtime_is_left_of_what_was_deployed(machine: Path) -> None:
    """Whatever it was called: two protections of a model deliver different files."""
    folder = machine / "orch"
    (folder / "secrets").mkdir()
    for name in ("model.sealed", "inputs.bin", "results.jsonl.out", "secrets/key", "with space"):
        (folder / name).write_text("left")
    for _ in range(2):  # the second time there is nothing to do
        subprocess.run(["sh", "-c", gate.clear_script()], check=True, timeout=10)
        assert [path.name for path in folder.iterdir()] == ["bundle"]
    assert (folder / "bundle/runner").exists()


def lines_of(path: Path, count: int) -> list[str]:
    """The file's lines once there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        time.sleep(0.02)
    raise AssertionError(f"{path}: {count} lines expected")


@pytest.mark.parametrize("name", [None, GuestName(World.REALM)])
def test_the_gate_waits_and_marks_what_it_does(machine: Path, name: GuestName | None) -> None:
    """Who waits for the guest's last word was started before: that would be counted beside the guest's first steps."""
    script = gate_script(measurement(), name)
    settle = script.index(f"; sleep {gate.SETTLE_SECONDS}; ")
    assert name is None or script.index("rvmm wait") < settle < script.index("runner go")
    wait = ["wait", f"/run/guest/{name}", measurement().said, "86400"]
    with subprocess.Popen(["sleep", "60"]) as spinner:
        (machine / "spin.pid").write_text(str(spinner.pid))
        subprocess.run(["sh", "-c", gate_script(measurement(), name)], check=True, timeout=10)
        # It has a reader already, so that this does not wait, and nothing was done yet.
        fifo = os.open(machine / "go", os.O_WRONLY | os.O_NONBLOCK)
        assert not (machine / "called").exists()
        os.write(fifo, b"go\n")
        os.close(fifo)
        waits = [] if name is None else [f"rvmm {' '.join(wait)}"]
        called = lines_of(machine / "called", 3 + len(waits))
        begin, end = f"marker begin {gate.COUNTED} {gate.ID_STEP}", f"marker end {gate.COUNTED} {gate.ID_STEP}"
        assert [each for each in called if each not in waits] == [begin, "runner go T", end]
        assert sum(each in waits for each in called) == len(waits)
        assert lines_of(machine / "code", 1) == ["3"]
        spinner.terminate()  # which a stopped process would not see
        assert spinner.wait(timeout=10) == -15


def test_exits_are_those_of_the_execution_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those of arming and settling, nor those of asking: nothing is between the two looks but the execution."""
    monkeypatch.setattr(gate, "stats_script", lambda name: f"echo {name} $(wc -l <{machine}/called)")
    subprocess.run(["sh", "-c", gate_script(measurement(), GuestName(World.VM))], check=True, timeout=10)
    (machine / "go").write_text("go\n")
    called = lines_of(machine / "called", 4)
    seen = [int((machine / name).read_text().removeprefix("vm ")) for name in ("before", "after")]
    between = [each.split()[:2] for each in called[seen[0] : seen[1]] if not each.startswith("rvmm")]
    assert between == [["marker", "begin"], ["runner", "go"]]
    assert called[seen[1]].startswith("marker end")


@pytest.mark.parametrize("fails", [False, True])
def test_the_hosts_ticks_are_moved_from_the_guests(machine: Path, fails: bool) -> None:
    """By the offset that the guest has told when it was armed; that it could not be done is told."""
    realm, program = GuestName(World.REALM), machine / "bin/marker"
    program.write_text(f'#!/bin/sh\necho marker "$@" >>{machine}/called\n[ "$1" != apart ] || exit {int(fails)}\n')
    (machine / "orch/bundle/runner").write_text("#!/bin/sh\necho 4711\n")
    program.write_text(program.read_text() + '[ "$1" != clock ] || echo -77\n')
    for name, said in ((realm, "-77\n"), (None, "")):
        armed = subprocess.run(
            ["sh", "-c", arm_script(measurement(), name)], check=True, timeout=20, capture_output=True
        )
        assert armed.stdout.decode() == said
    (machine / "called").unlink()
    subprocess.run(["sh", "-c", gate_script(measurement(), realm, clock=-77)], check=True, timeout=10)
    (machine / "go").write_text("go\n")
    called = lines_of(machine / "called", 4)
    assert called[0] == "marker apart -77 10000000"
    assert sum(each.startswith("marker begin") for each in called[1:]) == 1
    noise = machine / "noise"
    assert (noise.read_text() if noise.exists() else None) == (f"{gate.TICKS_MEET}\n" if fails else None)


def test_counting_that_begins_too_early_is_said(machine: Path) -> None:
    """Connections that never end: with a file in place of /proc/net/tcp the gate gives up, and leaves a word."""
    table = machine / "tcp"
    table.write_text("0: 0100007F:0016 0100007F:C350 01 00000000\n")
    script = gate_script(measurement(), None).replace("/proc/net/tcp", str(table)).replace("left=500", "left=2")
    for said in (f"{gate.UNQUIET}\n", None):
        for path in (machine / "called", machine / "code"):
            path.unlink(missing_ok=True)
        subprocess.run(["sh", "-c", script], check=True, timeout=10)
        (machine / "go").write_text("go\n")
        assert lines_of(machine / "code", 1) == ["3"]
        lines_of(machine / "called", 3)
        noise = machine / "noise"
        assert (noise.read_text() if noise.exists() else None) == said
        table.write_text("0: 0100007F:0016 00000000:0000 0A 00000000\n")  # LISTEN


def test_the_host_runner_is_waited_for(machine: Path) -> None:
    """Its last word opens the end, whoever has closed the FIFO meanwhile, and none of an earlier one counts."""
    (machine / "orch/bundle/runner").write_text("#!/bin/sh\n")
    (machine / "said").write_text("an earlier one\n")
    subprocess.run(["sh", "-c", gate_script(measurement(), None)], check=True, timeout=10)
    (machine / "go").write_text("go\n")
    assert len(lines_of(machine / "called", 1)) == 1
    assert not (machine / "code").exists()
    (machine / "said").write_text(f"{measurement().said}\n")
    assert lines_of(machine / "code", 1) == ["0"]
    assert lines_of(machine / "called", 2)[-1] == f"marker end {gate.COUNTED} {gate.ID_STEP}"


def test_what_an_earlier_gate_still_does_is_ended(machine: Path) -> None:
    """Two models in the host, of which the first takes longer than its limit: only the second one is counted."""
    runner, script = machine / "orch/bundle/runner", gate_script(measurement(), None)
    quick = runner.read_text()
    runner.write_text(f"#!/bin/sh\necho $$ >{machine}/slow\nsleep 60 & wait\necho 0 slow >>{machine}/called\n")
    subprocess.run(["sh", "-c", script], check=True, timeout=10)
    (machine / "go").write_text("go\n")
    (slow,) = lines_of(machine / "slow", 1)
    runner.write_text(quick)
    subprocess.run(["sh", "-c", script], check=True, timeout=20)
    assert not running(int(slow))
    (machine / "go").write_text("go\n")
    begin, end = f"marker begin {gate.COUNTED} {gate.ID_STEP}", f"marker end {gate.COUNTED} {gate.ID_STEP}"
    called = lines_of(machine / "called", 4)
    assert (called[:2], called[3:]) == ([begin, begin], [end])
    assert called[2].startswith("runner go")
    deadline = time.monotonic() + 20
    while (machine / "gate.pid").read_text():  # nobody takes its number for that of a gate
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("program", "is_left"), [("runner", False), ("another", True)])
def test_an_earlier_runner_is_ended(machine: Path, program: str, is_left: bool) -> None:
    """Of a step that took longer than its limit; not who has its number now."""
    (machine / "orch/bundle/runner").write_text("#!/bin/sh\necho 4711\n")
    copy = machine / program
    shutil.copy(shutil.which("sleep") or "", copy)
    with subprocess.Popen([copy, "60"], start_new_session=True) as earlier:
        try:
            threading.Thread(target=earlier.wait, daemon=True).start()  # as the machine's init does
            (machine / "runner.pid").write_text(f"{earlier.pid}\n")
            subprocess.run(["sh", "-c", arm_script(measurement(), None)], check=True, timeout=20)
            assert (machine / "runner.pid").read_text() == "4711\n"
            assert running(earlier.pid) == is_left
        finally:
            earlier.kill()


def test_a_runner_that_cannot_start_is_known_at_once(machine: Path) -> None:
    """It says its last word itself, though nobody reads."""
    os.mkfifo(machine / "said")
    (machine / "orch/bundle/runner").write_text(f"#!/bin/sh\necho over >{machine}/said\necho why >&2\nexit 1\n")
    done = subprocess.run(["sh", "-c", arm_script(measurement(), None)], check=False, timeout=20, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"why\n")


def running(pid: int) -> bool:
    """Whether a process is there and is more than its exit code."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_guests_last_word_is_waited_for_again(machine: Path) -> None:
    """At a large shift the longest wait of `rvmm` is little time: its end is none of the measurement's."""
    (machine / "orch/bundle/runner").write_text("#!/bin/sh\n")
    wait = machine / "bin/rvmm"
    wait.write_text(f'#!/bin/sh\necho "$1" >>{machine}/waits\n[ $(wc -l <{machine}/waits) -gt 2 ] || exit 4\nexit 5\n')
    subprocess.run(["sh", "-c", gate_script(measurement(), GuestName(World.VM))], check=True, timeout=10)
    (machine / "go").write_text("go\n")
    assert lines_of(machine / "code", 1) == ["5"]
    assert lines_of(machine / "waits", 3) == ["wait"] * 3
