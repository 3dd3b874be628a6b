#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the project's own realm monitor.
set -euo pipefail

# Of the library only what is compiled and what that includes.
mkdir mbedtls
tar -xf "$IN_mbedtls_source"/mbedtls_*.orig.tar.* -C mbedtls --strip-components=1 --wildcards '*/include/*.h' '*/library/*.[ch]'
make -C "$SRC" -s -j"$JOBS" BUILD="$WORK/rmm" MBEDTLS="$WORK/mbedtls" WRAPPER="$PARAM_token_wrapper" all
cp "$WORK/rmm/rmm.bin" "$WORK/rmm/rmm.elf" "$OUT/"
