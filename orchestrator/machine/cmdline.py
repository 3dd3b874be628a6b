# SPDX-License-Identifier: Apache-2.0
"""From a MachineSpec to QEMU's argument vector: pure functions, held by golden tests."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from orchestrator.machine.spec import MachineSpec

if TYPE_CHECKING:
    from orchestrator.schema.testbed import Cpu

# TF-A's manifest and its granule table always describe DRAM up to 4 GiB: RAM must stand behind all of it.
RAM_MIB = 3072
KERNEL_ADDRESS = 0x6000_0000
INITRD_ADDRESS = 0x6800_0000
RAM_BASE = 0x4000_0000
RAM_END = RAM_BASE + (RAM_MIB << 20)
CPIO_ALIGNMENT = 4
FIXED_MAC = "52:54:00:cc:a0:01"
FIXED_RTC = "2026-01-01T00:00:00"
# QEMU reserves 1 GiB for translated code by default; a whole boot fills about a tenth of this.
TRANSLATION_CACHE_MIB = 256
RESUME_PORT = "orch.resume"


def cpu_argument(cpu: Cpu) -> str:
    """The value of `-cpu`: the model, then every pinned feature in the order of the file."""
    return ",".join([cpu.model, *(f"{name}={_switch(each.value)}" for name, each in cpu.features.items())])


def command_line(spec: MachineSpec, *, by_hand: bool = False) -> list[str]:
    """The complete argument vector; `by_hand` puts UART0 and a monitor on the terminal, to debug without orch."""
    return [
        *spec.qemu,
        *_board(spec),
        *_time(spec),
        *_boot(spec),
        *(_consoles_by_hand() if by_hand else _consoles(spec)),
        *_devices(spec),
        *_counter(spec),
        *(["-incoming", "defer"] if spec.incoming else []),
        *spec.extra,
    ]


def stable_command_line(spec: MachineSpec) -> list[str]:
    """The cold-boot arguments without what may differ between two runs of one machine: port, folders, state file."""
    return command_line(
        dataclasses.replace(spec, run_folder="RUN", sockets="SOCKETS", ssh_port=0, incoming=None),
    )


def kernel_command_line(spec: MachineSpec) -> str:
    """What Linux sees: console, restart at once on panic (orch notices), where the initrds lie, then the extras."""
    words = ["console=ttyAMA0", "panic=-1"]
    if spec.initrds:
        words.append(f"initrd={INITRD_ADDRESS:#x},{_initrd_total(spec)}")
    return " ".join([*words, *spec.kernel_args])


def _board(spec: MachineSpec) -> list[str]:
    machine = f"{spec.machine},secure=on,virtualization=on,gic-version=3"
    threads = "single" if spec.deterministic else "multi"
    return [
        "-nodefaults",
        "-no-user-config",
        *("-M", machine + (",dtb-randomness=off" if spec.deterministic else "")),
        *("-accel", f"tcg,thread={threads},tb-size={TRANSLATION_CACHE_MIB}"),
        *("-cpu", spec.cpu),
        *("-smp", str(spec.cpus)),
        *("-m", str(RAM_MIB)),
        *("-display", "none"),
        # A guest's reset ends QEMU, so that orch sees it as an event instead of a second boot.
        "-no-reboot",
    ]


def _time(spec: MachineSpec) -> list[str]:
    if spec.icount_shift is None:
        return ["-rtc", "base=utc"]
    # sleep=off: with sleep=on an idle machine's clock follows the host's, and no two boots are the same. What a jumping
    # clock would do to the network is prevented in the guest (orch.deterministic): it never becomes idle once it is up.
    return [
        *("-icount", f"shift={spec.icount_shift},sleep=off"),
        *("-rtc", f"base={FIXED_RTC},clock=vm"),
        *("-seed", str(spec.seed)),
    ]


def _boot(spec: MachineSpec) -> list[str]:
    words = [
        *("-bios", spec.flash),
        # With -bios the kernel comes from the loader below; QEMU wants a -kernel to accept -append.
        *("-kernel", "/dev/null"),
        *("-append", kernel_command_line(spec)),
    ]
    if spec.incoming:
        # RAM comes from the saved state: loading the files again would only cost memory.
        return words
    words += ["-device", _loader(spec.kernel, KERNEL_ADDRESS)]
    for initrd, address in zip(spec.initrds, _initrd_addresses(spec), strict=True):
        words += ["-device", _loader(initrd.path, address)]
    return words


def _consoles(spec: MachineSpec) -> list[str]:
    words = []
    for uart in ("uart0", "uart1"):
        words += ["-chardev", _socket(spec, uart), "-serial", f"chardev:{uart}"]
    words += ["-chardev", _socket(spec, "qmp"), "-mon", "chardev=qmp,mode=control"]
    return [*words, "-chardev", _socket(spec, "resume")]


def _consoles_by_hand() -> list[str]:
    return [
        *("-chardev", "stdio,id=uart0,mux=on,signal=off"),
        *("-serial", "chardev:uart0"),
        *("-mon", "chardev=uart0,mode=readline"),
        *("-chardev", "file,id=uart1,path=/dev/stderr"),
        *("-serial", "chardev:uart1"),
        *("-chardev", "null,id=resume"),
    ]


def _devices(spec: MachineSpec) -> list[str]:
    # An event descriptor hands a queue to QEMU's main thread, whose timing is the host's: off when deterministic.
    sync = ",ioeventfd=off" if spec.deterministic else ""
    forward = f"hostfwd=tcp:127.0.0.1:{spec.ssh_port}-:22"
    words = [
        *("-netdev", f"user,id=net0,ipv6=off,restrict=on,{forward}"),
        *("-device", f"virtio-net-pci,netdev=net0,mac={FIXED_MAC},romfile=,addr=1{sync}"),
        *("-device", f"virtio-serial-pci,id=serial0,addr=2{sync}"),
        *("-device", f"virtserialport,bus=serial0.0,nr=1,chardev=resume,name={RESUME_PORT}"),
    ]
    if spec.deterministic:
        # The generator answers from QEMU's main thread, at a moment that is the host's; the CPU's own RNDR is seeded.
        return words
    return [*words, "-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0,addr=3"]


def _counter(spec: MachineSpec) -> list[str]:
    if spec.counter is None:
        return []
    socket = f"{spec.sockets}/counter"
    return ["-plugin", f"file={_escape(spec.counter.plugin)},socket={_escape(socket)},mode={spec.counter.mode}"]


def _socket(spec: MachineSpec, name: str) -> str:
    """QEMU connects to a listening supervisor, so that not one byte of a console is lost."""
    return f"socket,id={name},path={_escape(f'{spec.sockets}/{name}')},server=off"


def _loader(path: str, address: int) -> str:
    # force-raw: QEMU would otherwise take a gzip or an Image header for something to interpret.
    return f"loader,file={_escape(path)},addr={address:#x},force-raw=on"


def _initrd_addresses(spec: MachineSpec) -> list[int]:
    """Each archive begins behind its predecessor, where the kernel accepts a cpio header again."""
    addresses = []
    at = INITRD_ADDRESS
    for initrd in spec.initrds:
        addresses.append(at)
        at += -(-initrd.size // CPIO_ALIGNMENT) * CPIO_ALIGNMENT
    if at > RAM_END:
        raise ValueError(f"the initrds end at {at:#x}, behind the RAM")
    return addresses


def _initrd_total(spec: MachineSpec) -> int:
    return _initrd_addresses(spec)[-1] + spec.initrds[-1].size - INITRD_ADDRESS


def _escape(value: str) -> str:
    """QEMU's option syntax ends a value at a comma; a doubled one stands for itself."""
    return value.replace(",", ",,")


def _switch(value: bool) -> str:
    return "on" if value else "off"
