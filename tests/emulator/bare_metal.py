# SPDX-License-Identifier: Apache-2.0
"""A payload in Linux' place: the emulated machine runs it at NS-EL2 and ends when it asks for power-off."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from orchestrator.build.builder import Builder
from orchestrator.build.packages import PackageStore
from orchestrator.build.progress import Silent
from orchestrator.build.run import CommandError, run
from orchestrator.machine.cmdline import command_line, cpu_argument
from orchestrator.machine.spec import MachineSpec
from orchestrator.testbed.project import CHECKOUT, Project

# Environment variable that names the RMM image to run instead of the project's.
RMM_VARIABLE = "ORCH_RMM"


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a bare machine is made of: folders of artifacts, and the machine around them."""

    qemu: Path
    plugin: Path
    flash: Path
    payloads: Path
    spec: MachineSpec


def prepare(rmm: str | None = None) -> Parts:
    """Build what is missing; `rmm` is the path of another RMM image, by default what $ORCH_RMM says."""
    project = Project.open(CHECKOUT / "testbed.yaml")
    graph, cache = project.graph(), project.cache()
    builder = Builder(graph, cache, PackageStore(project.root, cache.root), Silent())
    foreign = rmm or os.environ.get(RMM_VARIABLE)
    firmware = f"firmware:rmm_file={Path(foreign).resolve()}" if foreign else "firmware"
    nodes = [project.node(graph, request) for request in ("qemu", "qemu-plugin", firmware, "rmm-abi")]
    builder.build(nodes)
    qemu, plugin, flash, payloads = (builder.artifact(node) for node in nodes)
    spec = MachineSpec(
        qemu=(str(qemu / "bin/qemu-system-aarch64"),),
        run_folder="",
        sockets="",
        flash=str(flash / "flash.bin"),
        kernel="",
        initrds=(),
        cpu=cpu_argument(project.config.machine.cpu),
        ssh_port=0,
        cpus=1,
        machine=project.config.machine.type,
        icount_shift=0,
    )
    return Parts(qemu, plugin / "libcounter.so", flash, payloads, spec)


def run_payload(parts: Parts, name: str, folder: Path, *, count: bool = False, timeout: float = 60) -> str:
    """Run payload NAME.bin to its power-off and return what it wrote to UART0; `timeout` in seconds.

    `folder` receives console.log and, with `count`, the plugin's report.json. On a time-out or a crash of QEMU the
    error's text ends with the console's last lines.
    """
    console = folder / "console.log"
    extra: tuple[str, ...] = ()
    if count:
        extra = ("-plugin", f"file={parts.plugin},socket={folder / 'counter'},report={folder / 'report.json'}")
    spec = dataclasses.replace(parts.spec, kernel=str(parts.payloads / f"{name}.bin"), extra=extra)
    try:
        run(command_line(spec, by_hand=True), log=console, timeout=timeout)
    except CommandError as error:
        tail = console.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        # Without the command line, which is a screen long.
        what = error.message.split(": ", 1)[0]
        raise AssertionError("\n".join([f"payload {name}: {what}", *tail])) from None
    return console.read_text(encoding="utf-8", errors="replace")
