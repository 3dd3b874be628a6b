#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run the program of this file's name with the loader and libraries beside it, wherever this folder lies.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
unset LD_PRELOAD LD_LIBRARY_PATH
exec "$here/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$here/lib" "$here/libexec/${0##*/}" "$@"
