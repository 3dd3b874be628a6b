#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the guests' attestation service.
set -euo pipefail

dpkg-deb -x "$IN_mbedtls_arm64"/libmbedtls-dev_*.deb arm64

aarch64-linux-gnu-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla \
    -ffile-prefix-map="$PROJECT"=. -I"$PROJECT/guest/abi" -isystem arm64/usr/include -static -s -Wl,--build-id=none \
    -o "$OUT/attestd" "$SRC"/*.c arm64/usr/lib/aarch64-linux-gnu/libmbedcrypto.a
