#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the flat image. It runs wherever it is loaded: page-relative addresses, no pointers in its data.
set -euo pipefail

flags=(-std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-common -fno-jump-tables
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -mstrict-align -mgeneral-regs-only
    -mbranch-protection=none -march=armv8.5-a -ffile-prefix-map="$SRC/"= -Wall -Wextra -Werror -Wconversion -Wshadow)
aarch64-linux-gnu-gcc "${flags[@]}" -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
    -Wl,--no-warn-rwx-segments -Wl,--fatal-warnings -T "$SRC/image.lds" -o smp.elf "$SRC/start.S" "$SRC/smp.c"
aarch64-linux-gnu-objcopy -O binary smp.elf "$OUT/smp.image"
