#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make the guests' root: busybox, the marker program and a few lines of configuration.
set -euo pipefail

dpkg-deb -x "$IN_host_rootfs"/busybox-static_*.deb package
mkdir -p root/{bin,dev,etc,proc,root,sys,tmp}
cp package/usr/bin/busybox "$NODE_guest_tools/marker" root/bin/
# No links for the applets: this shell runs them without, and making 300 links costs every boot instructions.
ln -s busybox root/bin/sh
cp -r "$SRC/root/." root/
echo 'root:*:0:0:root:/root:/bin/sh' >root/etc/passwd
chmod -R u=rwX,go=rX root
chmod 755 root/init root/bin/*
find root -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# Raw, not compressed: docs/guests.md has the figures.
(cd root && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$OUT/initrd"
