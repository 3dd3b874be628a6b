#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the attacks: for the emulated host with its C library, as they are copied there; static for a build computer.
set -euo pipefail

case "$PARAM_arch" in
arm64) compiler=aarch64-linux-gnu-gcc linking=() ;;
amd64) compiler=gcc linking=(-static) ;;
*) echo "error: arch is arm64 or amd64, not '$PARAM_arch'" >&2 && exit 1 ;;
esac
"$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -ffile-prefix-map="$PROJECT"=. \
    "${linking[@]}" -s -Wl,--build-id=none -o "$OUT/attack" "$SRC"/*.c
