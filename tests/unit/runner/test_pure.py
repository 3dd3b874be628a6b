# SPDX-License-Identifier: Apache-2.0
"""The runner's pure parts: order of scores, what leaves, JSON, options, packet counts."""

from __future__ import annotations

import json
import math
import random
import struct
import subprocess
from pathlib import Path

import pytest

from orchestrator.models.litert import RECORD
from orchestrator.models.runtime import Armed, Execution

FLOAT32, INT32, UINT8, INT64, INT16, INT8, FLOAT16, FLOAT64 = 1, 2, 3, 4, 7, 9, 10, 11
FORMATS = {FLOAT32: "f", INT32: "i", UINT8: "B", INT8: "b", INT64: "q", INT16: "h", FLOAT16: "e", FLOAT64: "d"}
GOOD = ["--model", "m", "--inputs", "i", "--iterations", "3", "--warmups", "0", "--threads", "2"]
GOOD += ["--output", "topk", "--id", "7", "--results", "r"]


def ask(harness: Path, *words: str | bytes, text: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([harness, *words], capture_output=True, text=True, check=False, input=text)
    assert done.stderr == ""
    return done


def rank(
    harness: Path, kind: int, values: list[float], top: int, *, scale: float = 0.0, zero: int = 0
) -> list[tuple[int, float]]:
    data = struct.pack(f"<{len(values)}{FORMATS[kind]}", *values).hex()
    lines = ask(harness, "rank", str(kind), str(scale), str(zero), str(top), data).stdout.splitlines()
    return [(int(index), float(score)) for index, score in (line.split() for line in lines)]


@pytest.mark.parametrize("kind", FORMATS)
def test_order_and_ties(harness: Path, kind: int) -> None:
    assert rank(harness, kind, [1, 5, 2, 5, 0, 5], 4) == [(1, 5), (3, 5), (5, 5), (2, 2)]
    assert rank(harness, kind, [7, 7, 7], 3) == [(0, 7), (1, 7), (2, 7)]


def test_order_of_many(harness: Path) -> None:
    source = random.Random(1)
    for top in (1, 5, 100):
        values = [source.randint(-128, 127) for _ in range(300)]
        best = sorted(range(300), key=lambda i: (-values[i], i))[:top]
        assert [index for index, _ in rank(harness, INT8, [*values], top)] == best


def test_what_is_no_number_comes_last(harness: Path) -> None:
    found = rank(harness, FLOAT32, [math.nan, -math.inf, math.nan, 3.0], 4)
    assert [index for index, _ in found] == [3, 1, 0, 2]
    assert [index for index, _ in rank(harness, FLOAT32, [math.nan, math.nan], 1)] == [0]


def test_scores_are_real_values(harness: Path) -> None:
    assert rank(harness, INT8, [-128, 127], 2, scale=0.25, zero=-128) == [(1, 63.75), (0, 0.0)]
    assert rank(harness, UINT8, [0, 255], 2, scale=0.5, zero=255) == [(1, 0.0), (0, -127.5)]


@pytest.mark.parametrize(
    ("kind", "top", "expected"),
    [
        ("label", 5, struct.pack("<I", 2)),
        ("top1", 5, struct.pack("<If", 2, 9.5)),
        ("topk", 2, struct.pack("<IfIf", 2, 9.5, 0, 1.25)),
        ("scores", 2, struct.pack("<4f", 1.25, -1, 9.5, 0)),
    ],
)
def test_exactly_what_may_leave_is_written(harness: Path, kind: str, top: int, expected: bytes) -> None:
    data = struct.pack("<4f", 1.25, -1, 9.5, 0)
    assert ask(harness, "released", kind, str(top), data.hex()).stdout.strip() == expected.hex() + "ee"


@pytest.mark.parametrize("text", ["plain", 'a"b\\c', "tab\tnew\nline\x1b\x7f", "Ärger", "日本", "😀", "", "x" * 300])
def test_strings_are_json(harness: Path, text: str) -> None:
    assert json.loads(ask(harness, "string", text).stdout) == text


@pytest.mark.parametrize("raw", [b"\xff", b"a\xc3", b"\xc0\xafb", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
def test_bytes_that_are_no_text(harness: Path, raw: bytes) -> None:
    found = json.loads(ask(harness, "string", raw).stdout)
    assert "\ufffd" in found
    assert found.strip("\ufffd") == raw.decode("ascii", "ignore")


def test_packets(harness: Path) -> None:
    text = """Inter-|   Receive                  |  Transmit
 face |bytes    packets errs drop |bytes    packets
    lo:     900      11    0    0      900      11
  eth0: 1234567     321    0    0     4242      20
eth1:98765432109 4000000000    0    0        0       0
"""
    assert ask(harness, "packets", text=text).stdout == "4000000321\n"


def test_what_orch_asks_for_is_understood(harness: Path) -> None:
    """Every word that the command-line builder has, by the program that it is for."""
    armed = Armed(5000, 250, 70, "/dev/hvc0", "all done")
    what = Execution("m", "i", "r", 3, "topk", warmups=1, threads=2, top=4, base=1 << 40, armed=armed)
    verb, *words = RECORD.argv(what)
    done = ask(harness, "options", *words)
    assert (verb, done.stdout) == ("run", f"m i r 3 1 2 topk 4 {1 << 40} 1 5000 250 70 /dev/hvc0 all done\n")
    for output in ("scores", "top1", "label"):
        _, *words = RECORD.argv(Execution("m", "i", "r", 3, output))
        assert ask(harness, "options", *words).stdout == f"m i r 3 0 1 {output} 5 0 0 0 0 0 - -\n"


def test_options_are_understood(harness: Path) -> None:
    more = ["--top", "3", "--arm", "5000", "--align-us", "250", "--labels", "l", "--say", "/dev/hvc0"]
    done = ask(harness, "options", *GOOD, *more, "all done")
    assert done.stdout == "m i r 3 0 2 topk 3 7 1 5000 250 0 /dev/hvc0 all done\n"
    assert ask(harness, "options", *GOOD).stdout == "m i r 3 0 2 topk 5 7 0 0 0 0 - -\n"


@pytest.mark.parametrize("phase", [0, 1, 137, 249])
@pytest.mark.parametrize("now", [0, 1, 136_999, 137_000, 137_001, 249_999, 250_000, 10**15 + 7])
def test_the_start_has_its_phase_and_is_not_near(harness: Path, now: int, phase: int) -> None:
    """What the start signal sets in motion (its sender's end, a shell's next command) is not to be counted."""
    start = int(ask(harness, "next", str(now), "250", str(phase)).stdout)
    assert start % 250_000 == phase * 1000
    assert 250_000 < start - now <= 500_000


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("--iterations", "0"), "--iterations: a number from 1 to 1000000 expected"),
        (("--iterations", "-1"), "--iterations: a number from"),
        (("--iterations", "3x"), "--iterations: a number from"),
        (("--threads", "65"), "--threads: a number from 1 to 64 expected"),
        (("--id", "9223372036854775807"), "--id: a number from"),
        (("--id", "99999999999999999999"), "--id: a number from"),
        (("--output", "logits"), "--output: one of scores, topk, top1, label, raw, keypoints, detections expected"),
    ],
)
def test_bad_values(harness: Path, change: tuple[str, str], problem: str) -> None:
    words = [*GOOD]
    words[words.index(change[0]) + 1] = change[1]
    done = ask(harness, "options", *words)
    assert done.returncode == 2
    assert problem in done.stdout


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--model", "n"], "--model is given twice"),
        (["--modle", "n"], "unknown option: --modle"),
        (["--say", "x"], "--say: value missing"),
        (["--labels"], "--labels: value missing"),
        (["--align-us", "5"], "--align-us means nothing without --arm"),
        (["--arm", "7", "--phase-us", "5"], "--phase-us: a number below that of --align-us expected"),
        (
            ["--arm", "7", "--align-us", "5", "--phase-us", "5"],
            "--phase-us: a number below that of --align-us expected",
        ),
        (["--arm", "65536"], "--arm: a number from 1 to 65535 expected"),
        (["--top", "101"], "--top: a number from 1 to 100 expected"),
        (["word"], "unknown option: word"),
        (["--dims", "3"], "--dims means nothing with --output topk"),
        (["--boxes", "b"], "--boxes means nothing with --output topk"),
        (["--min-score", "x"], "--min-score: a number expected"),
    ],
)
def test_bad_options(harness: Path, more: list[str], problem: str) -> None:
    done = ask(harness, "options", *GOOD, *more)
    assert (done.returncode, done.stdout) == (2, problem + "\n")


def detect(harness: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """`words`: top, lowest score, then count, boxes, scores and classes as lists of numbers, or None."""
    said = [
        struct.pack(f"<{len(each)}f", *each).hex() if isinstance(each, list) else str(each or "-") for each in words
    ]
    return ask(harness, "detect", *said)


BOXES = [float(value) for value in range(16)]


def test_the_best_boxes_leave(harness: Path) -> None:
    scores = [0.25, 0.75, 0.5, 0.75]
    found = detect(harness, 3, 0.3, None, BOXES, scores, [7.0, 8.0, 9.0, 10.0])
    assert found.stdout == "1 8 0.75 4 5 6 7\n3 10 0.75 12 13 14 15\n2 9 0.5 8 9 10 11\n"
    assert detect(harness, 3, 0.6, [2.0], BOXES, scores, None).stdout == "1 0 0.75 4 5 6 7\n"
    two_classes = [0.1, 0.2, 0.9, 0.3, 0.0, 0.0, 0.4, 0.5]
    assert (
        detect(harness, 2, 0.3, None, BOXES, two_classes, None).stdout
        == "1 0 0.899999976 4 5 6 7\n3 1 0.5 12 13 14 15\n"
    )
    assert detect(harness, 3, 0.9, None, BOXES, scores, None).stdout == ""


def test_tensors_that_are_no_detections(harness: Path) -> None:
    for words, problem in (
        ((BOXES, [0.5] * 3, None), "4 boxes, and 3 scores"),
        ((BOXES, [0.5] * 4, [1.0]), "4 boxes, and 1 classes"),
        ((BOXES, None, None), "boxes of 4 numbers; 4 are expected, and scores"),
    ):
        done = detect(harness, 3, 0.5, None, *words)
        assert (done.returncode, done.stdout) == (2, problem + "\n")


def test_how_a_cell_reads_its_tensors_is_understood(harness: Path) -> None:
    tensors = (("boxes", "b x"), ("scores", "s"))
    what = Execution("m", "i", "r", 3, "detections", top=4, tensors=tensors, min_score=0.25, signature="k")
    _, *words = RECORD.argv(what)
    assert ask(harness, "options", *words).stdout.splitlines()[1] == "k b x s 2 0.25"
    _, *words = RECORD.argv(Execution("m", "i", "r", 3, "keypoints", tensors=(("tensor", "p"),), dims=3))
    assert ask(harness, "options", *words).stdout.splitlines()[1] == "- p - 3 -inf"
    _, *words = RECORD.argv(Execution("m", "i", "r", 3, "detections", tensors=(("boxes", "b"),)))
    assert ask(harness, "options", *words).stdout == "--scores is missing\n"


def test_missing_options(harness: Path) -> None:
    for at in range(0, len(GOOD), 2):
        done = ask(harness, "options", *GOOD[:at], *GOOD[at + 2 :])
        assert (done.returncode, done.stdout) == (2, f"{GOOD[at]} is missing\n")
    words = [each if each != "topk" else "label" for each in GOOD]
    assert "--top means nothing" in ask(harness, "options", *words, "--top", "3").stdout
