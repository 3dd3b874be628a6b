#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Take the inference library out of its wheels, for each architecture a folder that loads without further packages.
set -euo pipefail

mkdir -p "$OUT"/{arm64,amd64} packages arm64 amd64
python3 -m zipfile -e "$IN_litert_arm64"/*.whl arm64
python3 -m zipfile -e "$IN_tflite_amd64"/*.whl amd64
for deb in "$IN_cxx_arm64"/*.deb "$IN_host_rootfs"/libc6_*.deb; do
    dpkg-deb -x "$deb" packages
done

# Both wheels hold stripped libraries. LiteRT's for x86-64 hides the C API, hence another package's build.
cp arm64/ai_edge_litert/libLiteRtRuntimeCApi.so "$OUT/arm64/"
cp amd64/pymicro_wakeword/lib/libtensorflowlite_c.so "$OUT/amd64/"

needs() {
    aarch64-linux-gnu-readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'
}

# What the library needs and no guest has; libc and the loader are in every image.
add() {
    local name
    for name in $(needs "$1"); do
        case $name in libc.so.6 | ld-linux-aarch64.so.1) continue ;; esac
        [ ! -e "$OUT/arm64/$name" ] || continue
        cp -L "packages/usr/lib/aarch64-linux-gnu/$name" "$OUT/arm64/$name"
        add "$OUT/arm64/$name"
    done
}
add "$OUT/arm64/libLiteRtRuntimeCApi.so"
chmod 644 "$OUT"/*/*
