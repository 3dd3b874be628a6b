# SPDX-License-Identifier: Apache-2.0
"""The life of a machine as a user sees it: up, in, copy, logs, down; cold and from a snapshot."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from emulated import Bed, alive, host


def status(bed: Bed) -> dict[str, object]:
    done = bed.orch("status", "--json")
    assert done.returncode == 0, done.stderr
    table: dict[str, object] = json.loads(done.stdout)
    return table


def test_whole_life(bed: Bed, tmp_path: Path) -> None:
    done = bed.orch("up", "--fresh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cold; SSH on 127.0.0.1:")
    up = status(bed)
    assert up["state"] == "host-ready"
    assert up["up"] is True
    assert isinstance(up["rss_mib"], int)
    assert 0 < up["rss_mib"] <= 1024

    assert bed.orch("ssh", "host", "--", "uname", "-m").stdout == "aarch64\n"
    assert bed.orch("ssh", "host", "--", "exit 7").returncode == 7
    piped = bed.orch("ssh", "host", "--", "cat; echo error >&2", input="through\n")
    assert (piped.stdout, piped.stderr) == ("through\n", "error\n")

    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_bytes(bytes(range(256)) * 1000)
    assert bed.orch("cp", str(tmp_path / "tree"), "host:/tmp/").returncode == 0
    assert bed.orch("cp", "host:/tmp/tree", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back/sub/file").read_bytes() == (tmp_path / "tree/sub/file").read_bytes()
    assert bed.orch("cp", "a", "b").returncode == 2
    assert bed.orch("cp", "host:/no/such/file", str(tmp_path / "none")).returncode == 1
    assert not (tmp_path / "none").exists()

    logs = bed.orch("logs").stdout
    assert "orch: host-ready" in logs
    assert "BL31" in logs
    assert all(line.startswith(("uart0| ", "uart1| ")) for line in logs.splitlines())

    again = bed.orch("up")
    assert again.stdout.startswith("already up")
    assert bed.orch("up", "--deterministic").returncode == 2

    port = int(str(up["ssh_port"]))
    pid = int(str(up["qemu_pid"]))
    assert bed.orch("down").stdout == "stopped\n"
    assert not alive(pid)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert status(bed)["up"] is False
    assert bed.orch("down").stdout == "was not up\n"


def test_snapshot_gets_new_randomness_and_time(own_bed: Bed) -> None:
    bed = own_bed
    assert bed.orch("up").stdout.startswith("cold")  # leaves a snapshot behind
    bed.orch("down")
    seen = []
    for _ in range(2):
        done = bed.orch("up")
        assert done.stdout.startswith("restored"), done.stdout + done.stderr
        random = host(bed, "head -c 32 /dev/urandom | sha256sum")
        clock = int(host(bed, "date +%s"))
        assert abs(clock - time.time()) < 5
        seen.append(random)
        bed.orch("down")
    assert seen[0] != seen[1]


def test_console_answers(bed: Bed) -> None:
    bed.orch("up")
    with bed.open().instance.attach("uart0") as link:
        link.settimeout(20)
        link.sendall(b"echo six times seven is $((6*7))\n")
        seen = b""
        while b"six times seven is 42" not in seen:
            data = link.recv(4096)
            assert data, seen
            seen += data


def test_poweroff_in_the_guest_is_seen(bed: Bed) -> None:
    bed.orch("up")
    bed.orch("ssh", "host", "--", "poweroff")
    deadline = time.monotonic() + 20
    while status(bed)["up"]:
        assert time.monotonic() < deadline
    now = status(bed)
    assert (now["state"], now["reason"]) == ("stopped", "guest-shutdown")
    assert bed.orch("up").returncode == 0


def test_dry_run_and_cmdline_start_nothing(bed: Bed) -> None:
    done = bed.orch("up", "--dry-run", "--deterministic")
    assert done.returncode == 0
    assert "-icount shift=0,sleep=off" in done.stdout
    shown = bed.orch("show", "cmdline").stdout
    assert "x-rme=on" in shown
    assert "hostfwd=tcp:127.0.0.1:" in shown
    assert status(bed)["up"] is False


def test_a_restored_machine_has_working_timers(bed: Bed) -> None:
    """Every CPU sleeps and wakes, and `reboot` gets through, after a restore as after a boot."""
    if bed.orch("up").stdout.startswith("cold"):
        bed.orch("down")
        assert bed.orch("up").stdout.startswith("restored")
    for cpu in (1, 2):  # masks of CPU 0 and CPU 1
        assert host(bed, f"taskset {cpu} sleep 0.2 && echo awake", timeout=20) == "awake\n"
    bed.orch("ssh", "host", "--", "reboot", timeout=20)
    deadline = time.monotonic() + 20
    while status(bed)["up"]:
        assert time.monotonic() < deadline
    assert status(bed)["reason"] == "guest-reset"
