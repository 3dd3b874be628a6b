#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build TF-A for QEMU's virt machine with RME and pack it with an RMM into flash.bin.
set -euo pipefail

mkdir source
tar -xJf "$IN_firmware_source"/arm-trusted-firmware_*.orig.tar.xz -C source --strip-components=1
for patch in "$SRC"/patches/*.patch; do
    [ -e "$patch" ] || continue
    patch -d source -p1 --fuzz=0 <"$patch"
done

rmm=${PARAM_rmm_file:-$NODE_rmm/rmm.bin}
case "$PARAM_debug" in
0) flavour=release ;;
1) flavour=debug ;;
*) echo "firmware: parameter debug is 0 or 1, not '$PARAM_debug'" >&2; exit 1 ;;
esac

# GICv3 must be named (the platform defaults to v2); Linux is BL33 and is put into memory by QEMU's loader,
# so the flash holds no normal-world image. STATIC=1 spares fiptool from linking OpenSSL, which only its
# `info` command calls (the headers it needs all the same). The messages carry no build time: equal inputs give equal bytes.
make -C source -s -j"$JOBS" PLAT=qemu CROSS_COMPILE=aarch64-linux-gnu- ENABLE_RME=1 RMM="$rmm" \
    QEMU_USE_GIC_DRIVER=QEMU_GICV3 ARM_LINUX_KERNEL_AS_BL33=1 PRELOADED_BL33_BASE=0x60000000 \
    BUILD_STRING=orch BUILD_MESSAGE_TIMESTAMP='"reproducible"' STATIC=1 \
    DEBUG="$PARAM_debug" LOG_LEVEL="$PARAM_log_level" all fip

# BL1 starts at the reset address, the package of the later stages 256 KiB behind it.
build=source/build/qemu/$flavour
dd if="$build/bl1.bin" of="$OUT/flash.bin" bs=4096 status=none
dd if="$build/fip.bin" of="$OUT/flash.bin" bs=4096 seek=64 conv=notrunc status=none
cp "$build"/bl1/bl1.elf "$build"/bl2/bl2.elf "$build"/bl31/bl31.elf "$OUT/"
