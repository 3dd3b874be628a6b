# SPDX-License-Identifier: Apache-2.0
"""`stack:`: parts that are not ours in place of ours, and what is said when they do not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulated import Bed, Maker, build, host, inside
from test_guests import console

from orchestrator.errors import BootError
from orchestrator.testbed.guest import INITRD, GuestFile, GuestName
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.testbed import UpOptions
from orchestrator.words import GUEST_WORLDS, World

# Device tree, memory map and interrupt controller are QEMU's own; console and card are of the kinds we have too.
QEMU = """\
stack:
  vmm:
    worlds: [vm]
    files: [other-vmm]
    command: >-
      /usr/lib/vmm/other-vmm/ld-linux-aarch64.so.1 --inhibit-cache --library-path /usr/lib/vmm/other-vmm
      /usr/lib/vmm/other-vmm/qemu-system-aarch64 -nodefaults -no-user-config -display none -no-reboot
      -M virt,gic-version=3 -accel kvm -cpu host -m {{ memory_mib }} -smp {{ vcpus }}
      -kernel {{ kernel }} -initrd {{ initrd }} -append {{ cmdline | quote }} -serial stdio
      -netdev tap,id=net,ifname={{ tap }},script=no,downscript=no
      -device virtio-net-device,netdev=net,mac={{ mac }}
"""
NOT_STARTED = "error: vm: it did not start: rvmm: "
ENDED = "error: vm: it ended before state 'guest-ready': error: "


def vmm(command: str) -> str:
    """Lines of a testbed file that let a command of the host play the VMM."""
    return f"stack:\n  vmm:\n    worlds: [vm]\n    command: {json.dumps(command)}\n"


def one_error(bed: Bed, *arguments: str, code: int) -> str:
    """The one line with which a command fails."""
    done = bed.orch(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def status(bed: Bed) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(json.dumps(bed.open().status()))
    return table


def processes(bed: Bed, name: str) -> list[str]:
    """Processes of the host whose command line has the name."""
    lines = host(bed, "ps").splitlines()
    return [line for line in lines if name in line and "sh -c" not in line]


def has_tap(bed: Bed) -> bool:
    return bed.ask("host", "ip link show tap-vm").code == 0


def wait_until_gone(bed: Bed, pid: int) -> None:
    """Until the process is no more, which the host's own shell looks after."""
    host(bed, f"for i in $(seq 200); do [ -e /proc/{pid}/exe ] || exit 0; sleep 0.05; done; exit 1")


def test_a_guest_kernel_of_ones_own(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    ours = build(make_bed(name="plain.yaml"), "kernel") / "Image"
    shutil.copy(ours, tmp_path / "own-Image")
    bed = make_bed(extra="stack:\n  guest_kernel: own-Image\n")
    done = bed.orch("up", "--realm", "--vm")
    assert done.returncode == 0, done.stderr
    words = "stack.guest_kernel = own-Image: not tested with this testbed"
    assert f"untested: {words}" in done.stderr
    now = status(bed)
    assert now["untested"] == [words]
    assert {world: now["guests"][world]["state"] for world in ("realm", "vm")} == {"realm": "running", "vm": "running"}
    assert words in bed.orch("status").stdout


@pytest.mark.timeout(600)
def test_a_vmm_of_ones_own(make_bed: Maker) -> None:
    (make_bed.folder / "other-vmm").symlink_to(build(make_bed(name="plain.yaml"), "foreign-vmm"))
    bed = make_bed(extra=QEMU)
    done = bed.orch("up", "--vm")
    assert done.returncode == 0, done.stderr
    assert "vm: started; SSH answered after" in done.stdout
    assert "untested: stack.vmm (vm) = /usr/lib/vmm/other-vmm/ld-linux-aarch64.so.1 " in done.stderr
    facts = status(bed)["guests"]["vm"]
    assert facts["stats"] == {"world": "vm", "foreign": True}
    run = facts["run"]
    found = inside(bed, "vm", "cat /sys/class/net/eth0/address; ls /proc/device-tree/ | grep -c pcie")
    assert found.split() == [GuestName(World.VM).mac(run), "1"]  # our address in a machine that is not ours
    with console(bed, "vm") as guest:
        assert guest.say("echo $((6 * 7)); tty").split() == ["42", "/dev/ttyAMA0"]
    down_and_gone(bed)
    killed_and_gone(bed)
    powered_off(bed)
    without_our_network(make_bed(extra=QEMU[: QEMU.index("      -netdev")]))


def down_and_gone(bed: Bed) -> None:
    assert bed.orch("down", "vm").stdout == "vm: stopped\n"
    assert status(bed)["guests"]["vm"]["state"] == "stopped"
    assert processes(bed, "other-vmm") == []
    assert not has_tap(bed)


def killed_and_gone(bed: Bed) -> None:
    """SIGKILL to the one that looks after it: the VMM goes with it; an idle tap is left, which a start takes over."""
    assert bed.orch("up", "--vm").returncode == 0
    wrap = status(bed)["guests"]["vm"]["pid"]
    children = host(bed, f"ps -o pid,ppid | awk '$2 == {wrap} {{ print $1 }}'").split()
    assert len(children) == 1
    host(bed, f"kill -KILL {wrap}")
    again = bed.orch("up", "--vm")  # at once: it has to wait until the VMM lets go of the tap
    assert again.returncode == 0, again.stderr
    wait_until_gone(bed, int(children[0]))
    assert len(processes(bed, "other-vmm")) == 2  # the new ones


def powered_off(bed: Bed) -> None:
    wrap = status(bed)["guests"]["vm"]["pid"]
    bed.orch("ssh", "vm", "--", "poweroff")
    wait_until_gone(bed, wrap)
    assert status(bed)["guests"]["vm"]["state"] == "off"
    assert processes(bed, "other-vmm") == []
    assert not has_tap(bed)


def without_our_network(bed: Bed) -> None:
    """A guest that has none of it has its console."""
    done = bed.orch("up", "--vm")
    assert done.returncode == 0, done.stderr
    assert "vm: it has shown no SSH host key, so it can be reached by its console only" in done.stderr
    assert "vm: started; `orch console vm`" in done.stdout
    assert "has shown no SSH host key" in one_error(bed, "ssh", "vm", "--", "true", code=BootError("").exit_code)
    with console(bed, "vm") as guest:
        assert guest.say("ls /sys/class/net") == "lo"


def test_commands_that_are_no_vmm(make_module_bed: Maker) -> None:
    """Each is one line; the host stays, and neither a process nor a tap is left."""
    cases = {
        "/usr/lib/vmm/none {{ kernel }}": f"{NOT_STARTED}/usr/lib/vmm/none: No such file or directory",
        "/usr/bin/busybox false": f"{ENDED}/usr/bin/busybox ended with status 1",
        "/usr/bin/sh -c 'kill -SEGV $$'": f"{ENDED}/usr/bin/sh was ended by signal 11",
        "/usr/bin/sh -c 'echo {{ mac }}'": "error: vm: it ended before state 'guest-ready': off",
    }
    for command, words in cases.items():
        bed = make_module_bed(extra=vmm(command))
        assert one_error(bed, "up", "--vm", code=BootError("").exit_code) == words
        assert not has_tap(bed)
    assert "02:00:00:00:" in bed.orch("logs", "vm").stdout


def test_a_vmm_that_does_not_want_to_go(make_module_bed: Maker) -> None:
    """One that is deaf to SIGTERM and has started others: all of them are gone, and the end came by SIGKILL."""
    command = "/usr/bin/sh -c 'trap \"\" TERM; busybox sleep 7777 & echo deaf; while true; do busybox sleep 7777; done'"
    bed = make_module_bed(extra=f"{vmm(command)}timeouts:\n  guest_ready: 3\n")
    done = bed.orch("up", "--vm")
    assert done.returncode == BootError("").exit_code
    assert "error: vm: state 'guest-ready': not reached within 3 s" in done.stderr
    assert "deaf" in done.stderr
    assert status(bed)["guests"]["vm"]["state"] == "stopped"
    assert processes(bed, "sleep 7777") == []
    assert not has_tap(bed)


def test_a_tap_that_is_still_in_use(make_module_bed: Maker) -> None:
    """One user at a time: a second VMM waits for the first to let go, and is refused if it does not."""
    bed = make_module_bed()
    assert bed.orch("up", "--vm").returncode == 0
    rvmm, first = "/usr/bin/rvmm", GuestName(World.VM)
    wrap = f"{rvmm} wrap /run/guest/other --world vm --tap {first.tap}"
    refused = bed.ask("host", f"{wrap} --detach -- /usr/bin/busybox sleep 60")
    assert refused.code == 1
    assert refused.stderr == f"rvmm: --tap {first.tap}: another guest has it\n"
    # Made to outlive the one that has it, as the tap of a VMM that was killed does.
    host(bed, f"ip link del {first.tap}; {rvmm} stop {first.folder} 60")
    host(bed, f"ip tuntap add dev {first.tap} mode tap")
    assert bed.orch("up", "--vm").returncode == 0
    second = f"{wrap} -- /usr/bin/busybox sleep 1 & second=$!"
    host(bed, f"{second}; sleep 0.5; {rvmm} stop {first.folder} 60 && wait $second && cat /run/guest/other/exit")
    assert not has_tap(bed)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            vmm("other {{ kernle }}"),
            "stack.vmm.command: unknown variable 'kernle'; there are: world, kernel, ",
        ),
        (vmm("other {{ kernel }"), "stack.vmm.command: line 1 of the template: unexpected '}'"),
        (vmm("other 'a"), "stack.vmm.command: not a command line (No closing quotation)"),
        ("stack:\n  guest_kernel: testbed.yaml\n", "stack.guest_kernel: testbed.yaml is no arm64 kernel Image"),
    ],
)
def test_mistakes_cost_no_boot(make_bed: Callable[..., Bed], extra: str, message: str) -> None:
    bed = make_bed(extra=extra)
    assert message in one_error(bed, "up", "--vm", code=2)
    # The supervisor's record would be there if a machine had been started.
    assert not list((bed.file.parent / "state").rglob("machine.json"))


def test_a_corrupt_initrd_is_told_as_the_panic_it_makes(
    make_bed: Callable[..., Bed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    testbed = make_bed().open()
    guests, sound = testbed.guests, testbed.guests.source
    testbed.build()
    guests.build(list(GUEST_WORLDS))
    (tmp_path / "initrd").write_bytes(sound(INITRD).read_bytes()[:600_000])

    def source(file: GuestFile) -> Path:
        return tmp_path / "initrd" if file is INITRD else sound(file)

    monkeypatch.setattr(guests, "source", source)
    testbed.up(UpOptions())
    for world in GUEST_WORLDS:
        with pytest.raises(BootError, match=f"^{world}: it ended before state 'guest-ready': panic: ") as caught:
            guests.start(GuestName(world), GuestOptions())
        assert any("Kernel panic - not syncing: " in line for line in caught.value.console)
        assert guests.status()[str(world)]["state"] == "panic"


def test_firmware_without_a_monitor(make_bed: Callable[..., Bed]) -> None:
    """TF-A's test payload makes no realms: one line, the driver says why, and a normal VM is none the worse for it."""
    payload = build(make_bed(name="plain.yaml"), "trp") / "rmm.bin"
    bed = make_bed(extra=f"stack:\n  rmm: {payload}\n")
    done = bed.orch("up", "--fresh", "--realm")
    assert done.returncode == BootError("").exit_code
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: realm: the driver was not loaded: no RMM")
    assert f"untested: stack.rmm = {payload}: not tested with this testbed" in done.stderr
    assert status(bed)["untested"] == [f"stack.rmm = {payload}: not tested with this testbed"]
    bed.put("host", [build(bed, "realm-driver") / "realm.ko"])
    assert bed.ask("host", "insmod /tmp/realm.ko").code != 0
    log = host(bed, "dmesg")
    assert "realm: no RMM that speaks RMI 1.0" in log or "this RMM makes no realms" in log
    assert bed.orch("up", "--vm").returncode == 0
