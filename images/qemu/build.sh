#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack QEMU's packages without installing them and keep what `qemu-system-aarch64` loads.
set -euo pipefail

for deb in "$IN_qemu"/*.deb; do
    dpkg-deb -x "$deb" root
done

# A library path of one folder: everything the private loader finds must come from the pinned packages.
libs="$PWD/root/usr/lib/x86_64-linux-gnu"
loader="$libs/ld-linux-x86-64.so.2"
emulator="$PWD/root/usr/bin/qemu-system-aarch64"
mkdir -p "$OUT/bin" "$OUT/libexec" "$OUT/lib" "$OUT/modules" "$OUT/share/qemu"
cp "$emulator" "$OUT/libexec/"
cp "$loader" "$OUT/lib/"

"$loader" --inhibit-cache --library-path "$libs" --list "$emulator" >needed
if grep "not found" needed; then
    echo "qemu: a library of the emulator is in none of the packages (see above)" >&2
    exit 1
fi
# glibc loads libgcc_s by name when a thread is cancelled: no program lists it.
{ awk '$2 == "=>" && $3 ~ /^\// { print $3 }' needed; echo "$libs/libgcc_s.so.1"; } | sort -u >files
while read -r file; do
    case "$file" in
    "$PWD"/root/*) cp -L "$file" "$OUT/lib/" ;;
    *) echo "qemu: the emulator would load $file from this computer" >&2; exit 1 ;;
    esac
done <files

cp "$SRC/launcher.sh" "$OUT/bin/qemu-system-aarch64"
chmod 755 "$OUT/bin/qemu-system-aarch64"

version=$("$OUT/bin/qemu-system-aarch64" --version | head -n 1)
case "$version" in
*" version 10.0."*) printf '%s\n' "$version" | tee "$OUT/version" ;;
*) echo "qemu: expected version 10.0, found: $version" >&2; exit 1 ;;
esac
