#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Start the Python of this folder with its own loader, libraries and packages, quietly and behind other work.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
export PYTHONHOME="$here" PYTHONPATH="$here/packages" PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONHASHSEED=0
exec nice -n 10 "$here/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$here/lib" \
    "$here/libexec/python3.13" "$@"
