#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cross-compile the programs that run on the emulated host; the image of the guests takes `marker` as well.
set -euo pipefail

# Static: they run in any image, and before anything else does. The prefix map keeps the checkout's
# folder out of the binaries.
# Each is SOURCE:PROGRAM; `resume` alone is the name of a busybox applet.
for source in marker:marker resume:orch-resume spin:orch-spin; do
    aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow \
        -ffile-prefix-map="$PROJECT"=. -static -s -Wl,--build-id=none \
        -o "$OUT/${source#*:}" "$SRC/${source%:*}.c"
done
