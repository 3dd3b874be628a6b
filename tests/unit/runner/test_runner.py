# SPDX-License-Identifier: Apache-2.0
"""The whole runner on this computer, with the real TFLite library and models that hand their input on."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from models_matrix import CASES
from runner_program import CLASSES, Runner

TIMES = ("ns", "clock_ns", "peak_rss_kib", "minor_faults", "major_faults", "rx_packets_during")
FASHION = Path(__file__).parents[3] / "workloads" / "models" / "fashion_cnn"
PIXELS = 28 * 28
WAIT = 60.0  # s


def test_describe(runner: Runner, model: Path, quantized: Path) -> None:
    for path, kind, size, scale, zero in ((model, "FLOAT32", 16, 0, 0), (quantized, "INT8", 4, 0.5, 3)):
        done = runner("describe", path)
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(done.stdout)
        same = {"type": kind, "shape": [1, CLASSES], "bytes": size, "scale": scale, "zero_point": zero}
        tensors = {"inputs": [{"name": "picture", **same}], "outputs": [{"name": "scores", **same}]}
        kernels = {"nodes": 1, "delegated": 1, "xnnpack": True, "without": None}
        assert found == {"signature": None, "signatures": [], **tensors, **kernels}
        assert done.stdout.count("\n") == 1


def test_signatures(runner: Runner) -> None:
    """The usual one, else the first by its bytes; names in the order of their bytes."""
    model = runner.file("model", CASES["two_signatures"].make())
    assert json.loads(runner("describe", model).stdout)["signature"] == "decode"
    found = json.loads(runner("describe", model, "encode").stdout)
    assert (found["signature"], found["signatures"]) == ("encode", ["encode", "decode"])
    fails(runner, ["describe", model, "none"], 1, "has no signature 'none'")
    model = runner.file("model", CASES["signature_in_other_order"].make())
    found = json.loads(runner("describe", model).stdout)
    assert [[tensor["name"] for tensor in found[kind]] for kind in ("inputs", "outputs")] == [
        ["alpha", "mid", "zeta"],
        ["first", "second"],
    ]


def test_a_tensor_is_named_or_refused(runner: Runner) -> None:
    model = runner.file("model", CASES["detector"].make())
    inputs = runner.floats(tuple(float(value) for value in range(48)))
    fails(runner, runner.words(model, inputs, "topk"), 1, "has 2 outputs: --tensor says which")
    fails(runner, runner.words(model, inputs, "topk", "--tensor", "class"), 1, "has no output 'class'")
    ranked = runner.words(model, inputs, "topk", "--tensor", "regressors")
    fails(runner, ranked, 1, "has 72 numbers in rows of 6: no list of scores")
    fails(
        runner, runner.words(model, inputs, "keypoints", "--tensor", "regressors", "--dims", "7"), 1, "no points of 7"
    )
    assert runner(*runner.words(model, inputs, "raw")).returncode == 0
    sizes = [len(each) // 8 for each in runner.outputs()[0]["raw"]]
    assert sizes == [72, 12]
    assert (runner.folder / "results.out").stat().st_size == 5 * 4 * 84
    assert json.loads((runner.folder / "results").read_text().splitlines()[1])["outputs"] == [
        "regressors",
        "classificators",
    ]


def test_without_xnnpack(runner: Runner) -> None:
    model = runner.file("model", CASES["dense_rank7"].make())
    inputs = runner.floats(tuple(float(value) for value in range(16)))
    assert runner(*runner.words(model, inputs, "scores")).returncode == 0
    _, load, *_, end = runner.lines()
    assert (end["status"], end["xnnpack"], load["delegated"]) == ("ok", False, 0)
    assert load["without"].startswith("its tensors cannot be allocated: ")


def test_a_run(runner: Runner, model: Path) -> None:
    inputs = runner.floats((0, 1, 2, 3), (9, 8, -7, 0.5))
    done = runner(*runner.words(model, inputs, "scores"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    start, load, *iterations, end = runner.lines()
    assert (start["event"], start["tensors"], start["iterations"], start["warmups"]) == ("start", 2, 3, 2)
    assert load["event"] == "load"
    assert load["ns"] > 0
    assert [(each["k"], each["warmup"], each["input"], each["id"]) for each in iterations] == [
        (0, True, 0, 1000),
        (1, True, 1, 1001),
        (2, False, 0, 1002),
        (3, False, 1, 1003),
        (4, False, 0, 1004),
    ]
    data = inputs.read_bytes()
    expected = [data[:16], data[16:], data[:16], data[16:], data[:16]]
    assert [bytes.fromhex(each["output"]["scores_hex"]) for each in iterations] == expected
    assert {(each["output"]["dtype"], each["output"]["zero_point"]) for each in iterations} == {("FLOAT32", 0)}
    assert all(each["ns"][phase] > 0 for each in iterations for phase in ("read", "infer", "write"))
    assert (runner.folder / "results.out").read_bytes() == b"".join(expected)
    assert (end["event"], end["status"], end["error"], end["xnnpack"]) == ("end", "ok", None, True)
    assert end["peak_rss_kib"] > 1000
    assert end["minor_faults"] > 0


def test_quantized_scores(runner: Runner, quantized: Path) -> None:
    inputs = runner.file("inputs", struct.pack("<4b", -128, 127, 3, 3))
    assert runner(*runner.words(quantized, inputs, "scores")).returncode == 0
    scores = {"scores_hex": "807f0303", "dtype": "INT8", "scale": 0.5, "zero_point": 3}
    assert runner.outputs() == [scores] * 5
    assert runner(*runner.words(quantized, inputs, "topk", "--top", "3")).returncode == 0
    assert runner.outputs() == [{"topk": [[1, 62.0], [2, 0.0], [3, 0.0]]}] * 5


@pytest.mark.parametrize("quantization", ["int8", "float32"])
def test_a_trained_model(runner: Runner, quantization: str) -> None:
    """Each setting lets out what follows from the scores, for pictures of noise."""
    kind, width = ("b", 1) if quantization == "int8" else ("f", 4)
    source = random.Random(2)
    pixels = [source.randrange(-128, 128) / (1 if width == 1 else 255) for _ in range(2 * PIXELS)]
    data = struct.pack(f"<{len(pixels)}{kind}", *(int(each) if width == 1 else each for each in pixels))
    model, inputs = FASHION / f"fashion_cnn_{quantization}.tflite", runner.file("inputs", data)
    assert runner(*runner.words(model, inputs, "scores")).returncode == 0
    scores = runner.outputs()
    ranked = []
    for each in scores:
        raw = struct.unpack(f"<10{kind}", bytes.fromhex(each["scores_hex"]))
        real = [(value - each["zero_point"]) * each["scale"] if width == 1 else value for value in raw]
        ranked.append(sorted(([i, value] for i, value in enumerate(real)), key=lambda pair: (-pair[1], pair[0])))
    assert ranked[0] != ranked[1]
    assert ranked[0] == ranked[2]
    for output, expected in (
        (["topk", "--top", "3"], [{"topk": [[i, pytest.approx(v)] for i, v in each[:3]]} for each in ranked]),
        (["top1"], [{"top1": [each[0][0], pytest.approx(each[0][1])]} for each in ranked]),
        (["label"], [{"label": each[0][0]} for each in ranked]),
    ):
        assert runner(*runner.words(model, inputs, *output)).returncode == 0
        assert runner.outputs() == expected


def released(runner: Runner, words: list[Any]) -> tuple[list[dict[str, Any]], bytes]:
    """All that a run leaves but for times and memory."""
    done = runner(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = [{key: value for key, value in line.items() if key not in TIMES} for line in runner.lines()]
    left = {path.name for path in runner.folder.iterdir()} - {"inputs", "float.tflite", "int8.tflite", "names"}
    assert left == {"results", "results.out"}
    return lines, (runner.folder / "results.out").read_bytes()


@pytest.mark.parametrize(
    ("output", "records", "size"),
    [
        # Three records of scores that agree in what may leave and in nothing else, then one that differs in it.
        (["label"], [(0, 9, 1, 2), (-5, 8, 7, 7.5), (0.1, 0.2, 0.1, 0.1), (9, 0, 0, 0)], 4),
        (["top1"], [(0, 9, 1, 2), (-5, 9, 7, 8.5), (9 - 1e-5, 9, 0, 0), (0, 8, 1, 2)], 8),
        (["topk", "--top", "2"], [(0, 9, 1, 2), (-5, 9, 1.5, 2), (-2, 9, -3, 2), (0, 9, 1, 3)], 16),
    ],
)
def test_nothing_else_of_the_scores_leaves(
    runner: Runner, model: Path, output: list[str], records: list[tuple[float, ...]], size: int
) -> None:
    found = [released(runner, runner.words(model, runner.floats(each), *output)) for each in records]
    assert found[0] == found[1] == found[2] != found[3]
    assert len(found[0][1]) == 5 * size


def test_labels_only_name_what_leaves(runner: Runner, model: Path) -> None:
    names = runner.file("names", b'boot\nT-shirt "x"\r\nbag\nhat')
    inputs = runner.floats((0, 9, 1, 2))
    for output, expected in (
        (["label"], {"label": 1, "names": ['T-shirt "x"']}),
        (["top1"], {"top1": [1, 9], "names": ['T-shirt "x"']}),
        (["topk", "--top", "2"], {"topk": [[1, 9], [3, 2]], "names": ['T-shirt "x"', "hat"]}),
    ):
        assert runner(*runner.words(model, inputs, *output, "--labels", str(names))).returncode == 0
        assert runner.outputs() == [expected] * 5
    names.write_bytes(b"boot\n")
    done = runner(*runner.words(model, inputs, "label", "--labels", str(names)))
    assert (done.returncode, done.stderr) == (1, f"runner: {model}: has 4 scores, --labels names 1\n")


def fails(runner: Runner, words: list[Any], status: int, text: str) -> None:
    """The run ends with one line on stderr, and with the same in the results where there are any."""
    done = runner(*words)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.startswith("runner: ")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr
    if (runner.folder / "results").is_file() and words[0] == "run":
        end = runner.lines()[-1]
        assert (end["event"], end["status"]) == ("end", "error")
        assert text in end["error"]


def test_wrong_inputs(runner: Runner, model: Path, tmp_path: Path) -> None:
    for size in (0, 15, 17, 3):
        inputs = runner.file("inputs", bytes(size))
        fails(runner, runner.words(model, inputs, "label"), 1, f"{size} bytes; the model takes 16 bytes an inference")
    good = runner.floats((1, 2, 3, 4))
    fails(runner, runner.words(model, tmp_path / "none", "label"), 1, "No such file or directory")
    fails(runner, runner.words(tmp_path / "none", good, "label"), 1, "No such file or directory")
    fails(runner, runner.words(model, good, "label", "--labels", str(tmp_path / "none")), 1, "No such file")
    fails(runner, runner.words(model, good, "topk", "--top", "5"), 1, "has 4 scores, --top asks for 5")
    fails(runner, runner.words(good, good, "label"), 1, "is no TFLite model")
    fails(runner, runner.words(tmp_path, good, "label"), 1, "is not a file")
    fails(runner, ["describe", tmp_path / "none"], 1, "No such file or directory")
    fails(runner, ["describe", good], 1, "is no TFLite model")


def test_usage(runner: Runner, model: Path) -> None:
    fails(runner, runner.words(model, model, "logits"), 2, "--output: one of")
    fails(runner, ["go", "not-an-address", "5000"], 2, "not an IPv4 address")
    fails(runner, ["go", "127.0.0.1", "0"], 2, "not a port")
    for words in ([], ["help"], ["describe"], ["go", "127.0.0.1"]):
        done = runner(*words)
        assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)


def test_results_that_cannot_be_written(runner: Runner, model: Path) -> None:
    inputs = runner.floats((1, 2, 3, 4))
    full = "No space left on device"
    (runner.folder / "results.out").symlink_to("/dev/full")
    fails(runner, runner.words(model, inputs, "label"), 3, full)
    assert runner.outputs() == []
    (runner.folder / "other").symlink_to("/dev/full")
    done = runner(*runner.words(model, inputs, "label", "--say", str(runner.folder / "said"), "over", results="other"))
    assert (done.returncode, full in done.stderr) == (3, True)
    assert (runner.folder / "said").read_text() == "over\n"
    done = runner(*runner.words(model, inputs, "label", results="none/r"))
    assert (done.returncode, "No such file or directory" in done.stderr) == (1, True)


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for an event that nothing reports."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, f"time-out: {what}"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_runtime_loses_nothing(plain: Runner, model: Path) -> None:
    words = plain.words(model, plain.floats((1, 2, 3, 4)), "label")
    words[words.index("3")] = "1000000"
    with subprocess.Popen([plain.program, *words], stderr=subprocess.PIPE, text=True) as process:
        out = plain.folder / "results.out"
        until("first output", lambda: out.exists() and out.stat().st_size > 0)
        [worker] = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        _, told = process.communicate(timeout=WAIT)
    assert process.returncode == 3
    assert told == "runner: inference failed: the process was ended by signal 9, Killed (out of memory?)\n"
    end = plain.lines()[-1]
    assert (end["status"], end["exit_status"]) == ("error", 3)
    assert end["peak_rss_kib"] > 1000
    # The last output may have been written and not yet been noted.
    assert out.stat().st_size // 4 - len(plain.outputs()) in (0, 1)
    assert len(plain.outputs()) > 0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def console(runner: Runner) -> Path:
    """What --say writes to; reading it is waiting for the end."""
    path = runner.folder / "console"
    os.mkfifo(path)
    return path


def said(console: Path) -> str:
    done = subprocess.run(["cat", console], capture_output=True, text=True, check=True, timeout=WAIT)
    return done.stdout


def test_armed(runner: Runner, model: Path, console: Path) -> None:
    """It leaves no pipe open behind it, takes only the right datagram, and speaks at the end."""
    port = free_port()
    more = ["--arm", str(port), "--align-us", "1000", "--say", str(console), "run over"]
    words = runner.words(model, runner.floats((1, 2, 3, 4)), "label", *more)
    done = runner(*words)  # capture_output: returns only when nobody holds the pipes any more
    assert (done.returncode, done.stderr) == (0, "")
    assert os.getsid(int(done.stdout)) == int(done.stdout)
    assert runner.lines() == []
    second = runner(*runner.words(model, runner.floats((1, 2, 3, 4)), "label", "--arm", str(port), results="second"))
    assert second.returncode == 1
    assert "--arm: Address already in use" in second.stderr
    assert runner.lines("second")[-1]["status"] == "error"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
        for text in (b"", b"gone", b"stop", b"g"):
            wrong.sendto(text, ("127.0.0.1", port))
    assert (runner.folder / "results.out").read_bytes() == b""
    assert runner("go", "127.0.0.1", str(port)).returncode == 0
    assert said(console) == "run over\n"
    lines = runner.lines()
    assert lines[-1]["status"] == "ok"
    assert len(runner.outputs()) == 5


def test_armed_failure_is_in_the_results(runner: Runner, model: Path, console: Path) -> None:
    port = free_port()
    broken = runner.file("broken", model.read_bytes()[: model.stat().st_size // 2])
    more = ["--arm", str(port), "--say", str(console), "run over"]
    assert runner(*runner.words(broken, runner.floats((1, 2, 3, 4)), "label", *more)).returncode == 0
    assert runner("go", "127.0.0.1", str(port)).returncode == 0
    assert said(console) == "run over\n"
    end = runner.lines()[-1]
    assert (end["status"], end["exit_status"]) == ("error", 1)
    assert "is no TFLite model" in end["error"]


def corrupted(source: random.Random, good: bytes, n: int) -> bytes:
    """A model that was cut off, or in which a few bits changed."""
    if n % 4 == 0:
        return good[: source.randrange(len(good))]
    data = bytearray(good)
    for _ in range(1 if n % 4 == 1 else source.randrange(2, 20)):
        at = source.randrange(8 * len(data))
        data[at // 8] ^= 1 << at % 8
    return bytes(data)


@pytest.mark.parametrize(
    ("good", "size", "times"),
    [
        (tiny_model.identity(CLASSES), 4 * CLASSES, 50),
        (tiny_model.identity(CLASSES, scale=0.5, zero=3), CLASSES, 50),
        ((FASHION / "fashion_cnn_int8.tflite").read_bytes(), PIXELS, 100),
    ],
    ids=["float32", "int8", "trained"],
)
def test_corrupt_models_do_not_crash_it(plain: Runner, good: bytes, size: int, times: int) -> None:
    source = random.Random(5)
    inputs = plain.file("inputs", bytes(size))
    seen = set()

    def limit() -> None:
        """A shape of gigabytes fails and does not use up this computer."""
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    for n in range(times):
        model = plain.file("model", corrupted(source, good, n))
        done = plain(*plain.words(model, inputs, "label"), preexec_fn=limit)
        assert done.returncode in (0, 1, 3), (n, done)
        assert done.stderr.count("\n") == (done.returncode != 0), (n, done)
        assert plain.lines()[-1]["event"] == "end"
        seen.add(done.returncode)
    assert seen >= {0, 1}
