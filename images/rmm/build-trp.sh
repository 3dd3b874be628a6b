#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the test payload that TF-A brings for the Realm world.
set -euo pipefail

# TF-A has no separate recipe for the payload: the platform's RME configuration makes it when no RMM= is
# given.
mkdir source
tar -xJf "$IN_firmware_source"/arm-trusted-firmware_*.orig.tar.xz -C source --strip-components=1
make -C source -s -j"$JOBS" PLAT=qemu CROSS_COMPILE=aarch64-linux-gnu- ENABLE_RME=1 \
    QEMU_USE_GIC_DRIVER=QEMU_GICV3 ARM_LINUX_KERNEL_AS_BL33=1 PRELOADED_BL33_BASE=0x60000000 \
    BUILD_STRING=orch BUILD_MESSAGE_TIMESTAMP='"reproducible"' DEBUG=0 LOG_LEVEL=40 rmm

cp source/build/qemu/release/rmm.bin source/build/qemu/release/rmm/rmm.elf "$OUT/"
