#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack two programs and the libraries that they load: nothing is installed, and none of this computer's is used.
set -euo pipefail

for deb in "$IN_disk_tools"/*.deb; do
    dpkg-deb -x "$deb" root
done
mkdir -p "$OUT"/{bin,lib,libexec}
libs="$PWD/root/usr/lib/x86_64-linux-gnu"
loader="$libs/ld-linux-x86-64.so.2"
cp -L "$loader" "$OUT/lib/"
for program in usr/bin/mkfs.erofs usr/sbin/veritysetup; do
    cp "root/$program" "$OUT/libexec/"
    cp "$SRC/launcher.sh" "$OUT/bin/${program##*/}"
    "$loader" --inhibit-cache --library-path "$libs" --list "root/$program" >needed
    if grep "not found" needed; then
        echo "disk-tools: a library of ${program##*/} is in none of the packages (see above)" >&2
        exit 1
    fi
    for file in $(awk '$2 == "=>" && $3 ~ /^\// { print $3 }' needed); do
        case "$file" in
        "$PWD"/root/*) cp -L "$file" "$OUT/lib/" ;;
        *) echo "disk-tools: ${program##*/} would load $file from this computer" >&2; exit 1 ;;
        esac
    done
done
cp "$SRC/make-disk.sh" "$OUT/bin/make-disk"
chmod 755 "$OUT"/bin/* "$OUT"/libexec/*
"$OUT/bin/mkfs.erofs" --version | head -n 1 | tee "$OUT/version"
"$OUT/bin/veritysetup" --version | tee -a "$OUT/version"
