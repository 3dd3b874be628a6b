#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

dpkg-deb -x "$IN_seccomp_arm64"/libseccomp-dev_*.deb arm64
aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -ffile-prefix-map="$PROJECT"=. -static -s -Wl,--build-id=none \
    -isystem arm64/usr/include -I"$PROJECT/guest/host/rvmm" -o "$OUT/confine-check" "$SRC/confine-check.c" \
    "$PROJECT/guest/host/rvmm/confine.c" "$PROJECT/guest/host/rvmm/error.c" arm64/usr/lib/aarch64-linux-gnu/libseccomp.a -pthread
