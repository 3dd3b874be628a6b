# SPDX-License-Identifier: Apache-2.0
"""The command line without a machine: help, exit codes, one line an error, no traceback unless asked for."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ORCH = Path(sys.executable).parent / "orch"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ORCH_DEBUG", raising=False)


def orch(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([ORCH, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=env)


def test_help_lists_every_command() -> None:
    done = orch("--help")
    assert done.returncode == 0
    for verb in [
        "build",
        "up",
        "down",
        "status",
        "ssh",
        "cp",
        "console",
        "logs",
        "counters",
        "measure",
        "show",
        "doctor",
        "clean",
        "lock",
        "testbed",
        "demo",
    ]:
        assert f"\n  {verb} " in done.stdout


def test_unknown_command_and_option_are_usage_errors() -> None:
    assert orch("upp").returncode == 2
    assert orch("up", "--frsh").returncode == 2


def test_missing_testbed_file() -> None:
    done = orch("--testbed", "/nowhere.yaml", "status")
    assert done.returncode == 2
    assert done.stderr == "error: /nowhere.yaml: no such file\n"


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in orch("--debug", "--testbed", "/nowhere.yaml", "status").stderr


def test_status_works_before_anything_is_built() -> None:
    done = orch("status", "--json")
    assert done.returncode == 0
    assert '"up": false' in done.stdout


def test_why_and_dry_run_build_nothing(tmp_path: Path) -> None:
    done = orch("build", "firmware", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "firmware: not built here before" in done.stdout
    assert "images/firmware/build.sh" in done.stdout
    assert not list((tmp_path / "cache").glob("orch/*/manifest.json"))


def test_unknown_node_lists_the_known() -> None:
    done = orch("build", "firmwear")
    assert done.returncode == 2
    assert "unknown node 'firmwear'" in done.stderr
    assert "firmware" in done.stderr.splitlines()[1]


def test_missing_tool_names_its_package(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "gcc", "make", "env"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    done = orch("build", "firmware", PATH=str(tools))
    assert done.returncode == 6
    assert done.stderr.startswith(
        "error: missing tool: aarch64-linux-gnu-gcc\n  hint: apt-get install gcc-aarch64-linux-gnu"
    )


def test_stack_path_that_does_not_exist(tmp_path: Path) -> None:
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8") + "stack:\n  rmm: no/such/rmm.bin\n"
    (tmp_path / "testbed.yaml").write_text(text, encoding="utf-8")
    done = orch("status", cwd=tmp_path)
    assert done.returncode == 2
    assert "stack.rmm: no such file: no/such/rmm.bin" in done.stderr


def test_show_config_fills_in_defaults() -> None:
    done = orch("show", "config")
    assert done.returncode == 0
    assert "host_ready: 60.0" in done.stdout
    assert "icount_shift: 0" in done.stdout


def test_cache_that_cannot_be_written() -> None:
    done = orch("build", "rmm", XDG_CACHE_HOME="/proc/nowhere")
    assert done.returncode == 6
    assert "Traceback" not in done.stderr


def test_fvp_is_a_command_line_and_nothing_else(tmp_path: Path) -> None:
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    parts = "  fvp: {model: FVP, bl1: bl1.bin, fip: fip.bin, image: Image}\n"
    file = tmp_path / "fvp.yaml"
    file.write_text(text.replace("  platform: qemu\n", "  platform: fvp\n"), encoding="utf-8")
    done = orch("--testbed", str(file), "show", "config")
    assert done.returncode == 2
    assert "platform 'fvp' needs the section 'fvp'" in done.stderr
    file.write_text(text.replace("  platform: qemu\n", f"  platform: fvp\n{parts}"), encoding="utf-8")
    assert "machine.fvp.model: no such file: FVP" in orch("--testbed", str(file), "show", "cmdline").stderr
    for name in ("FVP", "bl1.bin", "fip.bin", "Image"):
        (tmp_path / name).touch()
    shown = orch("--testbed", str(file), "show", "cmdline")
    assert shown.returncode == 0, shown.stderr
    words = shlex.split(shown.stdout)
    assert words[0] == f"{tmp_path}/FVP"
    assert f"bp.secureflashloader.fname={tmp_path}/bl1.bin" in words
    assert orch("--testbed", str(file), "show", "cmdline", "--count").returncode == 2
    for command in (["up", "--realm"], ["testbed"], ["build"], ["ssh", "host", "--", "true"]):
        done = orch("--testbed", str(file), *command)
        assert done.returncode == 2, command
        assert "machine.platform: fvp: its command line is all that orch makes" in done.stderr
    assert not (tmp_path / "state").exists()


def test_an_interrupt_while_modules_are_read_is_no_traceback() -> None:
    """The module that takes its time is replaced by one that is interrupted."""
    lines = [
        "import sys, types",
        "class Interrupted(types.ModuleType):",
        "    def __getattr__(self, name): raise KeyboardInterrupt",
        "from orchestrator.cli import start",
        "sys.modules['orchestrator.cli.main'] = Interrupted('orchestrator.cli.main')",
        "start.entry()",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "orch: interrupted\n")
