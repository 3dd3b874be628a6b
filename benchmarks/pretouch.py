# SPDX-License-Identifier: Apache-2.0
"""What the pre-touch of a realm takes beside the bare RMI commands that it cannot do without (wall time, medians).

A page costs DELEGATE and DATA_CREATE_UNKNOWN; RMI 1.0 has neither for more than one granule. `rmi-pairs` times just the
two, in the same machine and turn about with the starts; the bar is 1.3 times as much. PYTHONPATH=tests/emulator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from emulated import ROOT, Bed, build, host, make_realms_possible

BAR = 1.3
PAGE_KIB = 4
PAIRS = 16384  # timed before each start
PHASES = ("create", "populate", "activate", "pretouch")
RUN = (
    "/tmp/rvmm run --world {world} --dir /run/bench --kernel /usr/lib/guest/Image --initrd /usr/lib/guest/initrd "
    "--cmdline 'console=ttyAMA0 swiotlb=4096 nokaslr arm64.nomops quiet' --mem {mib} --pretouch --detach"
)
STOP = "u() { cut -d' ' -f1 /proc/uptime; }; b=$(u); /tmp/rvmm stop /run/bench 300 >/dev/null; echo $b $(u)"
# Pages that are populated before: kernel, initrd, device tree (1).
CONTENT = (
    "cd /usr/lib/guest && echo $(( ($(stat -c %s Image) + 4095) / 4096 + ($(stat -c %s initrd) + 4095) / 4096 + 1 ))"
)


@dataclass(frozen=True)
class Sample:
    """One start of a pre-touched guest: microseconds of its phases and its end; of bare RMI commands, ns a page."""

    phases: dict[str, int]
    end_us: int
    give_ns: int
    take_ns: int


def sample(bed: Bed, world: str, mib: int) -> Sample:
    """Time the commands, then start and stop a guest."""
    shown = host(bed, f"cd /sys/kernel/debug/rmi-pairs && echo {PAIRS} >run && cat run", timeout=300).split()
    host(bed, RUN.format(world=world, mib=mib), timeout=600)
    began, ended = (float(word) for word in host(bed, STOP, timeout=600).split())
    phases = json.loads(host(bed, "cat /run/bench/stats.json"))["time_us"]
    return Sample(phases, round((ended - began) * 1e6), int(shown[1]), int(shown[3]))


def report(samples: list[Sample], pages: int) -> tuple[float, float]:
    """Print medians; returns seconds: what the pre-touch of `pages` took, and their commands alone would."""
    for phase in PHASES:
        print(f"{phase}: {statistics.median(each.phases[phase] for each in samples) / 1e6:.2f} s")
    print(f"end: {statistics.median(each.end_us for each in samples) / 1e6:.2f} s")
    took = statistics.median(each.phases["pretouch"] for each in samples) / 1e6
    pair = statistics.median(each.give_ns for each in samples)
    back = statistics.median(each.take_ns for each in samples)
    bare = pages * pair / 1e9
    print(f"a page's RMI commands: {pair / 1000:.1f} us to give, {back / 1000:.1f} us to take back")
    print(f"pre-touch {took:.2f} s, bare commands {bare:.2f} s for {pages} pages: {took / bare:.2f} (bar: {BAR})")
    return took, bare


def main() -> None:
    """Run in a machine of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="starts [5]")
    parser.add_argument("--mem", type=int, default=256, metavar="MIB", help="guest memory [256]")
    parser.add_argument("--world", choices=("realm", "vm"), default="realm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        bed = Bed(Path(folder) / "testbed.yaml")
        bed.file.write_text((ROOT / "testbed.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        try:
            make_realms_possible(bed)
            bed.orch("cp", str(build(bed, "rmi-pairs") / "rmi_pairs.ko"), "host:/tmp/")
            host(bed, "insmod /tmp/rmi_pairs.ko")
            pages = options.mem * 1024 // PAGE_KIB - int(host(bed, CONTENT))
            report([sample(bed, options.world, options.mem) for _ in range(options.runs)], pages)
        finally:
            subprocess.run(bed.command("down"), check=False, capture_output=True)


if __name__ == "__main__":
    main()
