#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack QEMU's packages without installing them and keep what `qemu-system-aarch64` loads, all in one flat folder.
set -euo pipefail
. "$PROJECT/images/rootfs.sh"

unpack "$IN_qemu_arm64"/*.deb
add_programs usr/bin/qemu-system-aarch64

cp root/usr/bin/qemu-system-aarch64 root/usr/lib/aarch64-linux-gnu/* "$OUT/"
