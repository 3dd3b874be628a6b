#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the module outside the kernel's tree, which is read-only.
set -euo pipefail

cp "$SRC/Kbuild" "$SRC/raw_token.c" .
make -s -C "$NODE_kernel/devel" M="$PWD" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules
cp raw_token.ko "$OUT/"
