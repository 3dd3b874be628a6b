#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the runner for one architecture, in a folder that is all it needs: `bundle/`, for arm64 also `bundle.tar.gz`.
set -euo pipefail

case $PARAM_arch in
arm64) compiler=aarch64-linux-gnu-gcc library=LiteRtRuntimeCApi ;;
amd64) compiler=gcc library=tensorflowlite_c ;;
*) echo "arch: arm64 or amd64 expected, not $PARAM_arch" >&2 && exit 1 ;;
esac

mkdir "$OUT/bundle"
cp "$NODE_litert/$PARAM_arch"/* "$OUT/bundle/"
# RPATH and not RUNPATH: it also holds for what the libraries need. The prefix map keeps the checkout's folder out.
"$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla -ffile-prefix-map="$PROJECT"=. \
    -s -Wl,--build-id=none,-z,now,--allow-shlib-undefined,--disable-new-dtags,-rpath,'$ORIGIN' \
    -o "$OUT/bundle/runner" "$SRC"/*.c -L"$OUT/bundle" -l"$library" -lm

if [ "$PARAM_arch" = arm64 ]; then
    tar -C "$OUT" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$SOURCE_DATE_EPOCH" -c bundle |
        gzip -9 -n >"$OUT/bundle.tar.gz"
fi
