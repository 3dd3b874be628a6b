#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cross-compile the programs that run on the emulated host.
set -euo pipefail

# Static: they run in any image, and before anything else does. The prefix map keeps the checkout's
# folder out of the binaries.
for program in marker resume; do
    aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow \
        -ffile-prefix-map="$PROJECT"=. -static -s -Wl,--build-id=none \
        -o "$OUT/$program" "$SRC/$program.c"
done
