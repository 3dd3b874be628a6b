#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cross-compile the programs that run on the emulated host; the image of the guests takes `marker` as well.
set -euo pipefail

# Static: they run in any image, and before anything else does. The prefix map keeps the checkout's
# folder out of the binaries.
# The first is the program's name, the others are its sources; `resume` alone is the name of a busybox applet.
while read -r program sources; do
    # shellcheck disable=SC2086 # words
    (cd "$SRC" && aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow \
        -ffile-prefix-map="$PROJECT"=. -static -s -Wl,--build-id=none -o "$OUT/$program" $sources)
done <<'PROGRAMS'
marker marker.c tick.c
orch-resume resume.c
orch-spin spin.c
PROGRAMS
