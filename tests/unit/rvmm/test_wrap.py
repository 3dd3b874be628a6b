# SPDX-License-Identifier: Apache-2.0
"""Looking after a VMM that is not ours, with shells in its place: its console, its end, what is left of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SECONDS = 20.0


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def command(wrap: Path, folder: Path, script: str, *options: str) -> list[str]:
    return [str(wrap), str(folder), "--world", "vm", *options, "--", "sh", "-c", script]


def finished(wrap: Path, folder: Path, script: str) -> tuple[int, str]:
    """Exit code and the line of `exit`."""
    done = subprocess.run(command(wrap, folder, script), check=False, timeout=SECONDS, capture_output=True)
    return done.returncode, (folder / "exit").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", (0, "off\n")),
        ("exit 3", (1, "error: sh ended with status 3\n")),
        ("kill -SEGV $$", (1, "error: sh was ended by signal 11\n")),
    ],
)
def test_its_end_in_words(wrap: Path, tmp_path: Path, script: str, expected: tuple[int, str]) -> None:
    assert finished(wrap, tmp_path / "vm", script) == expected
    assert json.loads((tmp_path / "vm/stats.json").read_text(encoding="utf-8")) == {"world": "vm", "foreign": True}


def test_every_byte_it_printed_is_in_the_log(wrap: Path, tmp_path: Path) -> None:
    """Also the last ones, and none is changed on the way."""
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf 'a\\r\\nb\\003\\177\\004end'"
    assert finished(wrap, tmp_path / "vm", script)[0] == 0
    lines = "".join(f"line {i}\n" for i in range(3000))
    assert (tmp_path / "vm/console.log").read_bytes() == lines.encode() + b"a\r\nb\x03\x7f\x04end"


def test_what_is_typed_reaches_it(wrap: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    script = "echo ready; [ -t 0 ] && [ -t 1 ] || exit 9; head -c 4 | od -An -tx1; exit 0"
    with subprocess.Popen(command(wrap, folder, script)) as process:
        until(lambda: (folder / "console.log").exists() and b"ready" in (folder / "console.log").read_bytes())
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(folder / "console.sock"))
            link.sendall(b"\x03\r\x04x")  # no signal, no line, no end of file: bytes
            assert process.wait(SECONDS) == 0
    assert b"03 0d 04 78" in (folder / "console.log").read_bytes()


def test_detached_it_returns_once_the_program_runs(wrap: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    done = subprocess.run(command(wrap, folder, "exec sleep 600", "--detach"), check=False, timeout=SECONDS)
    assert done.returncode == 0
    pid = int((folder / "pid").read_text(encoding="utf-8"))
    again = subprocess.run(command(wrap, folder, "true", "--detach"), check=False, timeout=SECONDS, capture_output=True)
    assert (again.returncode, b"in use by a guest that runs" in again.stderr) == (1, True)
    os.kill(pid, signal.SIGTERM)
    until(lambda: gone(pid))
    assert (folder / "exit").read_text(encoding="utf-8") == "stopped\n"


def test_no_such_program(wrap: Path, tmp_path: Path) -> None:
    argv = [str(wrap), str(tmp_path / "vm"), "--world", "vm", "--detach", "--", "/none/such"]
    done = subprocess.run(argv, check=False, timeout=SECONDS, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "rvmm: /none/such: No such file or directory\n")
    assert (tmp_path / "vm/exit").read_text(encoding="utf-8") == "error: /none/such: No such file or directory\n"


def children(folder: Path, count: int) -> list[int]:
    """The process ids that the script has printed."""
    log = folder / "console.log"
    until(lambda: log.exists() and log.read_bytes().count(b"\n") >= count)
    return [int(line) for line in log.read_text(encoding="utf-8").splitlines()[:count]]


def test_killed_it_takes_the_program_along(wrap: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    with subprocess.Popen(command(wrap, folder, "echo $$; exec sleep 600")) as process:
        (pid,) = children(folder, 1)
        process.kill()
        until(lambda: gone(pid))
    assert not (folder / "exit").exists()


def test_stopped_it_leaves_nothing_of_what_the_program_started(wrap: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    script = "sleep 600 & echo $!; (trap '' TERM HUP; sleep 601 & echo $!; wait) & wait"
    with subprocess.Popen(command(wrap, folder, script)) as process:
        pids = children(folder, 2)
        assert not any(gone(pid) for pid in pids)
        process.terminate()
        assert process.wait(SECONDS) == 0
        assert all(gone(pid) for pid in pids)
    assert (folder / "exit").read_text(encoding="utf-8") == "stopped\n"


@pytest.mark.parametrize("asked", [False, True], ids=["by itself", "stopped"])
def test_helpers_in_other_sessions_end_with_it(wrap: Path, tmp_path: Path, asked: bool) -> None:
    """Also those that such a helper has started itself, and one that has lost its parent before."""
    folder = tmp_path / "vm"
    helper = "trap '' TERM HUP; sleep 600 & echo $! $$; wait"
    script = f'setsid sh -c "{helper}" & (setsid sh -c "{helper}" &); '.replace("$", "\\$") + "read -r line; exit 0"
    with subprocess.Popen(command(wrap, folder, script)) as process:
        log = folder / "console.log"
        until(lambda: log.exists() and log.read_bytes().count(b"\n") >= 2)
        pids = [int(word) for word in log.read_text(encoding="utf-8").split()]
        assert len(pids) == 4
        assert not any(gone(pid) for pid in pids)
        if asked:
            process.terminate()
        else:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(str(folder / "console.sock"))
                link.sendall(b"\n")
                assert process.wait(SECONDS) == 0
        assert process.wait(SECONDS) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids), "killed, and waited for"
    assert (folder / "exit").read_text(encoding="utf-8") == ("stopped\n" if asked else "off\n")


def test_the_program_is_offered_to_the_oom_killer(wrap: Path, tmp_path: Path) -> None:
    assert finished(wrap, tmp_path / "vm", "cat /proc/self/oom_score_adj") == (0, "off\n")
    assert (tmp_path / "vm/console.log").read_text(encoding="utf-8") == "900\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "wrap: expected DIR "),
        (["--world", "vm", "--", "true"], "wrap: expected DIR "),
        (["DIR", "--world", "vm", "--"], "wrap: expected DIR "),
        (["DIR", "--", "true"], "expected --world realm or --world vm"),
        (["DIR", "--world", "host", "--", "true"], "--world: expected realm or vm, got 'host'"),
        (["DIR", "--world", "vm", "--memory", "3", "--", "true"], "wrap: --memory: no such option"),
        (["DIR", "--world", "vm", "more", "--", "true"], "wrap: more: expected an option"),
        (["DIR", "--world", "vm", "--tap-address", "10.0.0.1/24", "--", "true"], "--tap-address needs --tap"),
    ],
)
def test_mistakes(wrap: Path, tmp_path: Path, words: list[str], message: str) -> None:
    argv = [str(wrap), *(str(tmp_path / "vm") if word == "DIR" else word for word in words)]
    done = subprocess.run(argv, check=False, timeout=SECONDS, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "vm").exists()
