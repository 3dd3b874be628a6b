#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the check; static, so that it runs in the host's image.
set -euo pipefail

aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -ffile-prefix-map="$PROJECT"=. \
    -static -pthread -Wl,--build-id=none -I "$PROJECT/guest/abi" \
    -o "$OUT/driver-check" "$SRC"/*.c "$SRC"/*.S
