#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check-reproducible.sh LINUX_SOURCE_FOLDER [SCRATCH]: build the kernel node twice, in two folders whose paths differ in
# length, without ccache, and compare every file of the two artifacts. Takes two full builds.
#
# LINUX_SOURCE_FOLDER holds linux-source-*.deb (the fetched input `linux-source`).
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: ${0##*/} LINUX_SOURCE_FOLDER [SCRATCH]" >&2
    exit 2
fi
input=$(readlink -f "$1")
recipe=$(dirname "$(readlink -f "$0")")
scratch=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/orch-reproducible.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# A PATH without ccache: the second build must compile, not fetch what the first one compiled. Links to
# everything else stand in for the folder that ccache lies in.
mkdir "$scratch/bin"
for folder in /usr/bin /usr/sbin /bin /sbin; do
    find "$folder/" -maxdepth 1 \( -type f -o -type l \) ! -name ccache -exec ln -st "$scratch/bin" {} + 2>/dev/null || true
done

build() {
    local folder=$scratch/$1
    mkdir -p "$folder/work" "$folder/out"
    (cd "$folder/work" && env -i HOME="$HOME" PATH="$scratch/bin" LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1767225600 \
        IN_linux_source="$input" PARAM_hz=100 PARAM_fragment_file= CCACHE_DIR=/nonexistent JOBS="$(nproc)" \
        SRC="$recipe" PROJECT="${recipe%/images/kernel}" WORK="$folder/work" OUT="$folder/out" \
        bash "$recipe/build.sh")
    rm -rf "$folder/work"
}

build first
build a/second/and/longer
if diff -r "$scratch/first/out" "$scratch/a/second/and/longer/out"; then
    sha256sum "$scratch/first/out/Image" | sed 's| .*|  Image, the same in both folders|'
else
    echo "kernel: two builds in different folders differ" >&2
    exit 1
fi
