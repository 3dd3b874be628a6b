#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Start the oracle with its own loader, interpreter, libraries and packages, and nothing of this computer's Python.
here=$(dirname "$(readlink -f "$0")")
unset LD_PRELOAD LD_LIBRARY_PATH
export PYTHONHOME="$here" PYTHONPATH="$here/packages:$here" PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 \
    PYTHONSAFEPATH=1 PYTHONHASHSEED=0 OPENBLAS_NUM_THREADS=1
exec "$here/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$here/lib" \
    "$here/libexec/python3.11" -m oracle "$@"
