#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the fuzz target of the device model: build.sh OUTPUT [FOLDER of guest/host/rvmm's sources [OBJECTS]]. With CC=clang it is a
# libFuzzer program, else one with a small fuzzer of our own; objects that are in the folder OBJECTS are taken from there, others left.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
sources=${2:-$project/guest/host/rvmm}
flags=(-std=gnu11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla -Wno-unused-function -fsanitize=address,undefined -fno-sanitize-recover=all
       -I"$sources" -I"$here" -I"$project/guest/abi" -pthread)
# A device: its files here, and where they are wired in the VMM; vm.c is in device_model.c, what blk.c does is in effects.c.
model=(devices net virtio virtio_mmio virtqueue virtio_rng virtio_net virtio_console virtio_blk keyboard pl011 pl031
       gic_state gic gic_mmio entropy error population timer)
files=("${model[@]/#/$sources/}")
files=("${files[@]/%/.c}" "$here/device_model.c" "$here/effects.c")

if [[ ${CC:-gcc} == clang* ]]; then
    "$CC" "${flags[@]}" -fsanitize=fuzzer -o "$1" "${files[@]}"
    exit
fi
if [[ -n ${3:-} ]]; then
    work=$3
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
missing=()
for file in "${files[@]}"; do
    [[ -e $work/$(basename "$file" .c).o ]] || missing+=("$file")
done
# Not position independent: the search follows addresses of code, and a seed then finds the same every time.
((${#missing[@]} == 0)) || (cd "$work" && gcc "${flags[@]}" -fno-pie -fsanitize-coverage=trace-pc -c "${missing[@]}")
gcc "${flags[@]}" -no-pie -o "$1" "$here/main.c" "$work"/*.o
