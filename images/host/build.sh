#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make the emulated host's root from arm64 packages without running arm64 code.
set -euo pipefail
. "$PROJECT/images/rootfs.sh"

unpack "$IN_host_rootfs"/*.deb

mkdir -p root/{dev,proc,sys,run,tmp,root,etc,mnt,var/log,usr/bin,usr/sbin,usr/lib/openssh}
ln -s usr/bin usr/sbin usr/lib root/
ln -s ../run root/var/run
ln -s openssh/sftp-server root/usr/lib/sftp-server         # where dropbear looks for it
ln -s ../bin/ip root/usr/sbin/ip                           # else busybox's own `ip` comes first in PATH
# Not busybox's shell, which runs its own `ip` and `poweroff` whatever PATH says.
ln -s dash root/usr/bin/sh
add_programs usr/bin/busybox usr/bin/dash usr/bin/ip usr/sbin/nft usr/sbin/dropbear \
    usr/lib/openssh/sftp-server

cp -r "$SRC/root/." root/
# One account, without a password; `tty` owns the pseudo-terminals.
echo 'root:*:0:0:root:/root:/bin/sh' >root/etc/passwd
printf '%s\n' 'root:*:0:' 'tty:*:5:' >root/etc/group
echo /bin/sh >root/etc/shells
printf '%s\n' '127.0.0.1 localhost' '10.0.2.15 host' >root/etc/hosts
cp "$NODE_guest_tools"/* root/usr/bin/
chmod -R u=rwX,go=rX root
chmod 755 root/init root/usr/bin/* root/usr/sbin/*
chmod 700 root/root

# Raw, not compressed: QEMU loads it with one read, while gunzip under emulation costs the guest time.
# The testbed's own archive is loaded right behind; zeros up to a page keep it aligned as the kernel wants.
write_cpio "$OUT/base.cpio"
truncate -s %4096 "$OUT/base.cpio"
