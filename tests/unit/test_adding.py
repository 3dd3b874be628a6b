# SPDX-License-Identifier: Apache-2.0
"""docs/adding.md: its examples are files outside the package, and all that they add is found where it belongs."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tiny_model
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/adding.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"^(?:# (\w+\.py)|/\* (\w+\.c) \*/)\n")
ORCH = "from orchestrator.cli.main import entry; entry()"
WORKLOAD = """\
name: added
models: {name: mine, path: mine.tflite, quantization: int8}
runtime: plainrun
protection: [none, sealed]
inputs: {files: [i.npy]}
attacks: guessing
iterations: 4
warmups: 1
"""
# The runtime's program: it opens what is sealed, answers, and says which markers it would execute.
PROGRAM = """#!{python}
import json, sys
words = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
if sys.argv[1] == "describe":
    tensor = {{"type": "INT8", "shape": [1, 2, 2, 1], "bytes": 4, "scale": 1.0, "zero_point": 0}}
    print(json.dumps({{"inputs": [tensor], "outputs": [{{"type": "INT8", "shape": [1, 2], "bytes": 2}}]}}))
    sys.exit()
model, lines = open(words["model"], "rb").read(), []
def mark(number, ident, cost):
    lines.append({{"event": "mark", "number": number, "id": ident, "cost": cost}})
if "unseal" in words:
    key = open(words["unseal"], "rb").read()
    model = bytes(each ^ key[0] for each in model)
    mark(0x140, 0, 340)
assert model[4:8] == b"TFL3", "no model"
mark(5, 0, 1000)
inputs = open(words["inputs"], "rb").read()
for k in range(int(words["iterations"]) + int(words["warmups"])):
    ident, at = k % (len(inputs) // 4), {{"read": 10, "infer": 500 + k, "write": 20}}
    for number, cost in zip((6, 7, 8), at.values()):
        mark(number, k, cost)
    scores = bytes([model[0], inputs[4 * ident]]).hex()
    output = {{"scores_hex": scores, "dtype": "INT8", "scale": 1.0, "zero_point": 0}}
    warm = k < int(words["warmups"])
    lines.append({{"event": "iteration", "k": k, "warmup": warm, "input": ident, "ns": at, "output": output}})
lines.append({{"event": "load", "ns": 1000}})
lines.append({{"event": "end", "status": "ok", "context_switches": 7, "rx_packets_during": 0}})
open(words["results"], "w").writelines(json.dumps(line) + "\\n" for line in lines)
"""


def examples(language: str) -> dict[str, str]:
    """The files of the page by name; a piece of C that is no file is called by its number."""
    found = {}
    for place, (kind, text) in enumerate(BLOCK.findall(PAGE)):
        if kind == language:
            name = NAME.match(text)
            found[(name[1] or name[2]) if name else str(place)] = text
    return found


PYTHON = examples("python")


@dataclass(frozen=True)
class Added:
    """A folder of the user's with the examples; `orch` runs in it, with them."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        listed = os.pathsep.join(str(self.folder / name) for name in PYTHON)
        own = {"XDG_STATE_HOME": str(self.folder / "state"), "ORCH_EXTENSIONS": listed}
        places = [ROOT, *(ROOT / "tests/unit" / each for each in ("shared", "trace"))]
        return os.environ | own | {"PYTHONPATH": os.pathsep.join(map(str, places))}

    def python(self, *words: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def orch(self, *words: object) -> str:
        return self.python("-c", ORCH, "--testbed", ROOT / "testbed.yaml", *words)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Added:
    folder = tmp_path_factory.mktemp("added")
    for name, text in PYTHON.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "w.yaml").write_text(WORKLOAD, encoding="utf-8")
    (folder / "mine.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(200)))
    np.save(folder / "i.npy", np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1))
    program = folder / "program"
    program.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Added(folder)


@pytest.fixture(scope="module")
def run(added: Added) -> Path:
    """A whole run of the workload on played machines, in a process that reads the examples as any other does."""
    script = ROOT / "tests/unit/shared/played_run.py"
    told = added.python(script, added.folder / "w.yaml", added.folder / "results", added.folder / "program")
    return Path(told.splitlines()[-1])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_page_has_an_example_of_each_kind() -> None:
    registered = re.findall(r"^(\w+)\.add\(", "".join(PYTHON.values()), re.MULTILINE)
    assert sorted(registered) == ["ATTACKS", "METRICS", "PHASES", "PLATFORMS", "PROTECTIONS", "RUNTIMES"]
    assert all(text.count("\n") < 60 and text.count(".add(") == 1 for text in PYTHON.values())


def test_nothing_of_them_is_known_without_them() -> None:
    words = ("guessing", "sealed", "plainrun", "unseal", "switches", "paper")
    done = subprocess.run(
        [sys.executable, "-c", ORCH, "schema"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert not [word for word in words if f'"{word}"' in done]


def test_the_schema_has_them(added: Added) -> None:
    properties = json.loads(added.orch("schema"))["properties"]
    assert "plainrun" in properties["runtime"]["anyOf"][0]["enum"]
    assert "sealed" in properties["protection"]["anyOf"][0]["enum"]
    told = {"const": "guessing", "description": "bits of the model, by tossing a coin"}
    assert told in properties["attacks"]["anyOf"][0]["oneOf"]


def test_the_plan_has_them(added: Added) -> None:
    lines = added.orch("run", "--dry-run", "w.yaml").splitlines()
    assert lines[0] == "2 cells, 1 boots, 6 steps"
    assert sum(line.endswith(", then guessing") for line in lines) == 6


def test_a_runtime_that_cannot_open_it_is_refused(added: Added) -> None:
    told = added.folder / "other.yaml"
    (added.folder / "real.tflite").write_bytes(tiny_model.identity(4, scale=0.5))
    text = WORKLOAD.replace("runtime: plainrun", "runtime: litert").replace("mine.tflite", "real.tflite")
    told.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match=r"sealed needs unseal of a runtime, and litert does not know it"):
        added.orch("run", "--dry-run", told)


def test_rows_and_tables_have_them(run: Path) -> None:
    samples = rows(run / "samples.csv")
    assert {row["runtime"] for row in samples} == {"plainrun"}
    assert {row["protection"] for row in samples} == {"none", "sealed"}
    assert {row["status"] for row in samples} == {"ok"}
    opened = [row for row in samples if row["phase"] == "unseal" and row["component"] == "all"]
    found = sorted((row["world"], row["protection"], row["value"]) for row in opened if row["metric"] == "instructions")
    assert found == [(world, "sealed", "340") for world in ("host", "realm", "vm")]
    switched = [row for row in samples if row["metric"] == "switches"]
    assert {(row["value"], row["unit"], row["method"]) for row in switched} == {("7", "1", "procfs")}
    assert len(switched) == 6
    guessed = rows(run / "privacy.csv")
    assert {(row["attack"], row["metric"], row["status"]) for row in guessed} == {("guessing", "bits_guessed", "ok")}
    assert sorted((row["world"], row["protection"]) for row in guessed) == [
        (world, protection) for world in ("host", "realm", "vm") for protection in ("none", "sealed")
    ]
    assert all(0.4 < float(row["value"]) < 0.6 for row in guessed)
    summary = rows(run / "summary.csv")
    assert {"unseal"} <= {row["phase"] for row in summary}
    assert {"switches"} <= {row["metric"] for row in summary}


def test_the_run_says_where_they_came_from(run: Path, added: Added) -> None:
    facts = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    assert facts["status"] == "ok"
    assert set(facts["extensions"]) == {str(added.folder / name) for name in PYTHON}
    assert [list(cell["delivered"]) for cell in facts["cells"]] == [["model.bin"], ["model.sealed"]]


def test_the_report_has_them(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for words in (
        "plainrun",
        "sealed",
        "unsealing",
        "switches, count (procfs)",
        "bits guessed 5",
        "guessing mine int8, plainrun",
    ):
        assert words in text, words
    assert "Times that the runner was taken off its CPU." in text


def test_the_dictionary_has_them(added: Added) -> None:
    code = (
        "from orchestrator import extensions; extensions.load()\n"
        "from orchestrator.privacy import dictionary as attacks\n"
        "from orchestrator.report import dictionary as words\n"
        "print(words.dictionary(), attacks.dictionary())"
    )
    told = added.python("-c", code)
    for line in (
        "| `unseal` | 320 | step | yes | a sealed model is opened, once a step |",
        "| `switches` | `1` procfs | times that the runner was taken off its CPU |",
        "| `guessing` | `bits_guessed` | main, verdict | `1` | share of the model's bits that a coin guesses | bits |",
    ):
        assert line in told, line
    column = next(line for line in told.splitlines() if line.startswith("| `phase` |"))
    assert "`unseal`" in column


def test_a_testbed_can_name_the_platform(added: Added) -> None:
    (added.folder / "rom").touch()
    given = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    own = given.replace("  platform: qemu\n", "  platform: paper\n  paper: {rom: rom}\n")
    (added.folder / "paper.yaml").write_text(own, encoding="utf-8")
    told = added.python("-c", ORCH, "--testbed", "paper.yaml", "show", "cmdline")
    assert told == f"paper --rom={added.folder / 'rom'} --cpus=2\n"
    with pytest.raises(AssertionError, match=r"machine\.platform: paper: its command line is all that orch makes"):
        added.python("-c", ORCH, "--testbed", "paper.yaml", "up")
    (added.folder / "paper.yaml").write_text(own.replace("{rom: rom}", "{rom: none}"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"paper.yaml.*: machine\.paper\.rom: .*none"):
        added.python("-c", ORCH, "--testbed", "paper.yaml", "show", "cmdline")


# --- the RMI command, in a copy of the RMM ----------------------------------------------------------------------------

SOURCES = ROOT / "images/rmm/src"
# Not the core: what only runs on the machine, and what needs the cryptographic library.
TARGET_ONLY = {"arch_target", "rec_target", "boot", "console", "lib", "main", "mmu", "panic"}
TARGET_ONLY |= {"signer_target", "ecdsa", "heap"}
FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"]
PAGE_ADDRESS, STATE, SUCCESS, ERROR_INPUT = 0x4190_0000, 0xC400_0180, 0, 1
DELEGATE, UNDELEGATED, DELEGATED = 0xC400_0151, 0, 1


def insert(path: Path, behind: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    assert before.count(behind) == 1
    path.write_text(before.replace(behind, behind + text), encoding="utf-8")


def changed(folder: Path, arity: str = "1, 1") -> Path:
    """The RMM's sources with the page's three pieces of C."""
    number, line = (text for name, text in examples("c").items() if name.isdigit())
    shutil.copytree(SOURCES, folder / "src")
    insert(folder / "src/rmi.h", "#define RMI_RTT_SET_RIPAS       0xC4000169U\n", number)
    last = "\tX(RMI_RTT_SET_RIPAS, 4, 1, rmi_rtt_set_ripas)"
    insert(folder / "src/rmi_commands.h", last, " \\\n" + line.rstrip("\n").replace("1, 1", arity))
    for name, text in examples("c").items():
        if not name.isdigit():
            (folder / "src" / name).write_text(text, encoding="utf-8")
    return folder / "src"


def compiled(source: Path) -> subprocess.CompletedProcess[str]:
    """The core for this computer, behind the line protocol of tests/unit/rmm."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc for the build host")
    core = [path for path in sorted(source.glob("*.c")) if path.stem not in TARGET_ONLY]
    host = ROOT / "tests/unit/rmm/arch_host.c"
    command = [compiler, *FLAGS, f"-I{source}", f"-I{ROOT / 'guest/abi'}", "-o", source.parent / "rmm", host, *core]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    done = compiled(changed(tmp_path))
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen([tmp_path / "rmm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate(timeout=30)


def call(monitor: subprocess.Popen[str], *words: int) -> list[int]:
    assert monitor.stdin is not None
    assert monitor.stdout is not None
    monitor.stdin.write(f"smc {' '.join(f'{word:x}' for word in words)}\n")
    monitor.stdin.flush()
    return [int(word, 16) for word in monitor.stdout.readline().split()]


def test_the_command_answers(monitor: subprocess.Popen[str]) -> None:
    assert call(monitor, STATE, PAGE_ADDRESS) == [SUCCESS, UNDELEGATED, 0, 0, 0]
    assert call(monitor, DELEGATE, PAGE_ADDRESS)[0] == SUCCESS
    assert call(monitor, STATE, PAGE_ADDRESS) == [SUCCESS, DELEGATED, 0, 0, 0]
    assert call(monitor, STATE, PAGE_ADDRESS + 1) == [ERROR_INPUT, 0, 0, 0, 0]


def test_with_another_arity_it_does_not_compile(tmp_path: Path) -> None:
    done = compiled(changed(tmp_path, arity="2, 1"))
    assert done.returncode != 0
    assert "rmi_granule_state" in done.stderr
