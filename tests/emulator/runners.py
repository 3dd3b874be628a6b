# SPDX-License-Identifier: Apache-2.0
"""One inference program in three worlds that are up (test_worlds.py): deployed, run, armed, and its numbers checked."""

from __future__ import annotations

import json
import random
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

from emulated import ROOT, Bed, build, host, inside

from orchestrator.models.litert import RECORD
from orchestrator.models.runtime import Armed, Execution
from orchestrator.trace.markers import pair_markers

FASHION = ROOT / "workloads" / "models" / "fashion_cnn"
PIXELS = 28 * 28
ITERATIONS, WARMUPS = 2, 1
IDS = {"host": 1000, "vm": 2000, "realm": 3000}
LOAD, READ, INFER, WRITE = 5, 6, 7, 8
PORT = 7707
REALM = "10.79.1.2"


def words(quantization: str, base: int, folder: str, armed: Armed | None = None) -> str:
    """The command line of a run, but for the program."""
    what = Execution(
        model=f"{folder}/fashion_cnn_{quantization}.tflite",
        inputs=f"{folder}/{quantization}.bin",
        results=f"{folder}/{quantization}.jsonl",
        iterations=ITERATIONS,
        warmups=WARMUPS,
        output="scores",
        base=base,
        armed=armed,
    )
    return shlex.join(RECORD.argv(what))


def prepare(folder: Path, bundle: Path) -> None:
    """All that is deployed: the bundle, both models, and three pictures of noise for each."""
    folder.mkdir()
    shutil.copy(bundle / "bundle.tar.gz", folder)
    pixels = [random.Random(3).randrange(256) for _ in range(3 * PIXELS)]
    (folder / "int8.bin").write_bytes(struct.pack(f"{len(pixels)}b", *(each - 128 for each in pixels)))
    (folder / "float32.bin").write_bytes(struct.pack(f"<{len(pixels)}f", *(each / 255 for each in pixels)))
    for quantization in ("int8", "float32"):
        shutil.copy(FASHION / f"fashion_cnn_{quantization}.tflite", folder)


def check_scores(found: dict[str, dict[str, bytes]], oracle: dict[str, bytes]) -> None:
    """host, vm and realm agree bit for bit; this computer within a step of the quantization or 1e-4."""
    assert found["vm"] == found["realm"] == found["host"]
    assert [len(found["vm"][each]) for each in ("int8", "float32")] == [30, 120]
    ours, theirs = (struct.unpack("30b", each["int8"]) for each in (found["vm"], oracle))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 1
    ours, theirs = (struct.unpack("<30f", each["float32"]) for each in (found["vm"], oracle))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 1e-4


def check_markers(bed: Bed) -> None:
    """Each phase has its pair in each world and for each model, with instructions of that world's user space within."""
    client = bed.open().counter()
    pairs = {(p.begin.event, p.begin.id): p for p in pair_markers(r for r in client.markers() if r.event in range(9))}
    for world, base in IDS.items():
        inner = {"host": "non_secure/host_el0", "vm": "non_secure/el0", "realm": "realm/el0"}[world]
        for start in (base, base + 100):
            expected = [(LOAD, start), *((e, start + k) for k in range(3) for e in (READ, INFER, WRITE))]
            expected += [(0, start + i) for i in range(8)]
            assert set(expected) <= set(pairs)
            levels = pairs[INFER, start + 2].delta.by_level()
            counts = {f"{place.value}/{level.value}": count for (place, level), count in levels.items()}
            assert counts[inner] > 100_000
            assert (pairs[INFER, start + 2].begin.state.value, counts["realm/el0"] > 0) == (
                "realm" if world == "realm" else "non_secure",
                world == "realm",
            )


def run_everywhere(bed: Bed, give: Path) -> dict[str, dict[str, bytes]]:
    """Both models in each world; scores by world and quantization."""
    found: dict[str, dict[str, bytes]] = {}
    for world, base in IDS.items():
        bed.put(world, [give])
        runs = [
            f"/tmp/give/bundle/runner {words(q, base + 100 * i, '/tmp/give')}"
            for i, q in enumerate(("int8", "float32"))
        ]
        dump = (
            "for q in int8 float32; do busybox hexdump -ve '1/1 \"%02x\"' $q.jsonl.out; echo; tail -n 1 $q.jsonl; done"
        )
        script = f"cd /tmp/give && tar xzf bundle.tar.gz && {' && '.join(runs)} && {dump}"
        int8, end8, float32, end32 = inside(bed, world, script, timeout=240).splitlines()
        found[world] = {"int8": bytes.fromhex(int8), "float32": bytes.fromhex(float32)}
        for end in (json.loads(end8), json.loads(end32)):
            assert (end["status"], end["xnnpack"]) == ("ok", True)
    return found


def run_here(bed: Bed, give: Path) -> dict[str, bytes]:
    """Both models on this computer."""
    program, oracle = build(bed, "runner:arch=amd64") / "bundle" / "runner", {}
    for quantization in ("int8", "float32"):
        subprocess.run([program, *words(quantization, 1, str(give)).split()], check=True, timeout=60)
        oracle[quantization] = (give / f"{quantization}.jsonl.out").read_bytes()
    return oracle


def check_armed(bed: Bed) -> None:
    """Armed in the realm, started from the host when no session is open, waited for where it speaks at the end."""
    armed = words("int8", 4000, "/tmp/give", Armed(PORT, 10000, 2500, "/tmp/give/said", "finished"))
    script = f"cd /tmp/give && mkfifo said && bundle/runner {armed}"
    assert inside(bed, "realm", script).strip().isdigit()  # the number of the process
    bed.hang_up("realm")
    host(bed, f"/tmp/give/bundle/runner go {REALM} {PORT}")
    assert inside(bed, "realm", "cat /tmp/give/said") == "finished\n"
    end = json.loads(inside(bed, "realm", "tail -n 1 /tmp/give/int8.jsonl"))
    assert (end["status"], end["error"]) == ("ok", None)
