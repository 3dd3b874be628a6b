#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the VMM twice: whole for the emulated host, and what needs no guest for the build computer.
set -euo pipefail

dpkg-deb -x "$IN_fdt_arm64"/libfdt-dev_*.deb arm64
dpkg-deb -x "$IN_seccomp_arm64"/libseccomp-dev_*.deb arm64
dpkg-deb -x "$IN_fdt_amd64"/libfdt-dev_*.deb amd64

# gnu11: inline assembly and getopt_long; the prefix map keeps the checkout's folder out of the binaries.
flags=(-std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla -ffile-prefix-map="$PROJECT"=.
       -I"$PROJECT/guest/abi" -static -s -Wl,--build-id=none)
pure=()
for name in main command_dtb command_describe describe options error content layout devtree population realm_params; do
    pure+=("$SRC/$name.c")
done

aarch64-linux-gnu-gcc "${flags[@]}" -isystem arm64/usr/include -o "$OUT/rvmm" "$SRC"/*.c \
    arm64/usr/lib/aarch64-linux-gnu/libfdt.a arm64/usr/lib/aarch64-linux-gnu/libseccomp.a -pthread
# For the build computer: `rvmm-describe dump-dtb` and `describe` print the same bytes.
gcc "${flags[@]}" -isystem amd64/usr/include -o "$OUT/rvmm-describe" "${pure[@]}" amd64/usr/lib/x86_64-linux-gnu/libfdt.a
