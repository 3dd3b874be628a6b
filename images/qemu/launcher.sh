#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run the QEMU beside this file with its own loader and libraries, wherever this folder lies.
self=$0
[ -L "$self" ] && self=$(readlink -f "$self")
here=${self%/*}/..
# Libraries of the computer must not be mixed into a process that runs on another C library.
unset LD_PRELOAD LD_LIBRARY_PATH
QEMU_MODULE_DIR=$here/modules
export QEMU_MODULE_DIR
exec "$here/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$here/lib" --argv0 qemu-system-aarch64 \
    "$here/libexec/qemu-system-aarch64" -L "$here/share/qemu" "$@"
