#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build the counter plugin against the plugin header of the very QEMU series that loads it.
set -euo pipefail

# The header is in no binary package; one file of the source package is enough. (--wildcards: the
# name of the top folder carries the version.)
mkdir qemu glib
tar -xJf "$IN_qemu_source"/qemu_*.orig.tar.xz -C qemu --strip-components=1 --occurrence=1 --wildcards '*/include/qemu/qemu-plugin.h'
abi=$(sed -n 's/^#define QEMU_PLUGIN_VERSION  *//p' qemu/include/qemu/qemu-plugin.h)
if [ "$abi" != 4 ]; then
    echo "qemu-plugin: the plugin is written for plugin ABI 4, the header says '$abi'" >&2
    exit 1
fi

for deb in "$IN_glib_headers"/*.deb; do
    dpkg-deb -x "$deb" glib
done
glib="-I$PWD/glib/usr/include/glib-2.0 -I$PWD/glib/usr/lib/x86_64-linux-gnu/glib-2.0/include"

# Assertions and debug information must not name the checkout's folder.
make -C "$SRC/plugin" QEMU_INCLUDE="$PWD/qemu/include" GLIB_CFLAGS="$glib" \
    CFLAGS="-O2 -ffile-prefix-map=$PROJECT=. -ffile-prefix-map=$PWD=." OUT="$OUT/libcounter.so"
