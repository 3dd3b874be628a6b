#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the project's own realm monitor.
set -euo pipefail

make -C "$SRC" -s -j"$JOBS" BUILD="$WORK/rmm" all
cp "$WORK/rmm/rmm.bin" "$WORK/rmm/rmm.elf" "$OUT/"
