#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The program is the whole user land: it runs as init.
set -euo pipefail

mkdir -p root/dev
aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -ffile-prefix-map="$PROJECT"=. \
    -static -s -Wl,--build-id=none -o root/init "$SRC/tick.c"
find root -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd root && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$OUT/tick.cpio"
