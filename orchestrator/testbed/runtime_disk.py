# SPDX-License-Identifier: Apache-2.0
"""The runtime's disk: the same bytes in host, normal VM and realm, each block of them checked by its hash; all pure.

A guest's kernel makes a device of it by a word of its command line. That has the root of the tree of hashes, and so
has a realm's measurement. The host makes the same device of the same file. A block that is not what the tree says is
the end of whoever reads it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.schema.disk import DiskTree

MOUNT = "/usr/lib/runtime"
"""In all three worlds."""
NAME = "runtime"
DEVICE = "/dev/dm-0"
CORRUPTED = "dm-verity device corrupted"
"""What a kernel panics with that has read a block whose hash is another one (drivers/md/dm-verity-target.c)."""
_IN_HOST = "/run/runtime-disk"  # the root hash of what is mounted there
# Documentation/admin-guide/device-mapper/verity.rst: version 1, no salt; nothing can be done with wrong content.
_OPTIONS = ("panic_on_corruption", "panic_on_error")


def guest_device(*, beside_another: bool) -> str:
    """What Linux calls the disk: guests' own (`guest.disk`) comes in a slot before it."""
    return "/dev/vdb" if beside_another else "/dev/vda"


def table(tree: DiskTree, device: str) -> str:
    """The device mapper's table: one target, with data and hashes on one device."""
    words = [
        *("0", str(tree.sectors), "verity", "1", device, device),
        *(str(tree.block_bytes), str(tree.block_bytes), str(tree.data_blocks), str(tree.data_blocks)),
        *("sha256", tree.root_hash, "-"),
        *(str(len(_OPTIONS)), *_OPTIONS),
    ]
    return " ".join(words)


def kernel_word(tree: DiskTree, device: str) -> str:
    """The word of a kernel's command line that has it make `DEVICE` before its first program starts."""
    return f'dm-mod.create="{NAME},,0,ro,{table(tree, device)}"'


def host_script(tree: DiskTree, image: str) -> str:
    """Shell for the host: mount `image` (a file there) unless it is; another disk that is there is an error."""
    made = f'dmsetup create {NAME} --readonly --noudevsync --table "{table(tree, "$loop")}" >/dev/null'
    steps = [
        "loop=$(losetup -f)",
        f"losetup -r $loop {shlex.quote(image)}",
        f"DM_DISABLE_UDEV=1 {made}",
        f"mount -t erofs -o ro {DEVICE} {MOUNT}",
        f"echo {tree.root_hash} >{_IN_HOST}",
    ]
    is_it = f'{{ [ "$(cat {_IN_HOST})" = {tree.root_hash} ] || {{ echo "another one is mounted" >&2; false; }}; }}'
    return f"{{ [ -e {_IN_HOST} ] || {{ {' && '.join(steps)}; }}; }} && {is_it}"


def check_script(tree: DiskTree) -> str:
    """Shell for a guest: whether its kernel was told this root hash and has the device that it makes of it mounted."""
    mounted = f"grep -qE '^{DEVICE} {MOUNT} erofs ro[ ,]' /proc/mounts"
    named = f'[ "$(cat /sys/block/{DEVICE.rpartition("/")[2]}/dm/name)" = {NAME} ]'
    return f"grep -qF ' {tree.root_hash} ' /proc/cmdline && {mounted} && {named}"


def read_script() -> str:
    """Shell for a world: every block is read, and its hash compared, before anything is counted."""
    return f"cat {MOUNT}/* >/dev/null"
