#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make the guests' root: busybox, an SSH server with SFTP, the marker program, attestd and a few lines of configuration.
set -euo pipefail
. "$PROJECT/images/rootfs.sh"

unpack "$IN_host_rootfs"/*.deb

mkdir -p root/{dev,etc/dropbear,proc,root/.ssh,run,sys,tmp,usr/bin,usr/sbin,usr/lib/openssh,usr/lib/runtime}
ln -s usr/bin usr/sbin usr/lib root/
ln -s openssh/sftp-server root/usr/lib/sftp-server         # where dropbear looks for it
add_programs usr/bin/busybox usr/bin/dropbearkey usr/sbin/dropbear usr/lib/openssh/sftp-server
cp "$NODE_guest_tools/marker" "$NODE_attestd/attestd" root/usr/bin/
# No links for the applets: this shell runs them without, and making 300 links costs every boot instructions.
ln -s busybox root/usr/bin/sh

cp -r "$SRC/root/." root/
echo 'root:*:0:0:root:/root:/bin/sh' >root/etc/passwd
printf '%s\n' 'root:*:0:' 'tty:*:5:' >root/etc/group
echo /bin/sh >root/etc/shells
chmod -R u=rwX,go=rX root
chmod 755 root/init root/usr/bin/* root/usr/sbin/*
chmod 700 root/root root/root/.ssh

# Raw, not compressed: docs/guests.md has the figures.
write_cpio "$OUT/initrd"
