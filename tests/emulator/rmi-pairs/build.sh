#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the module outside the kernel's tree, which is read-only.
set -euo pipefail

cp "$SRC/Kbuild" "$SRC"/*.c .
make -s -C "$NODE_kernel/devel" M="$PWD" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
    DRIVER="$PROJECT/guest/host/driver" ABI="$PROJECT/guest/abi" modules
cp rmi_pairs.ko "$OUT/"
