#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the attacks; static, so that they run in the host's image as it is.
set -euo pipefail

case "$PARAM_arch" in
arm64) compiler=aarch64-linux-gnu-gcc ;;
amd64) compiler=gcc ;;
*) echo "error: arch is arm64 or amd64, not '$PARAM_arch'" >&2 && exit 1 ;;
esac
"$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -ffile-prefix-map="$PROJECT"=. \
    -static -s -Wl,--build-id=none -o "$OUT/attack" "$SRC"/*.c
