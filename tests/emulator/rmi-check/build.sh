#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the module outside the kernel's tree, which is read-only.
set -euo pipefail

cp -r "$SRC/Kbuild" "$SRC"/*.c "$SRC/shim" .
make -s -C "$NODE_kernel/devel" M="$PWD" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
    ORCH_INCLUDE="$PROJECT/guest/abi" modules
cp rmi_check.ko "$OUT/"
