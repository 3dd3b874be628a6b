#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack an interpreter, the runtime's wheel and what it loads side by side: nothing is installed.
set -euo pipefail

for deb in "$IN_oracle_python"/*.deb; do
    dpkg-deb -x "$deb" root
done
to=$OUT/bundle
mkdir -p "$to"/{lib,libexec,packages}
cp -L root/usr/bin/python3.11 "$to/libexec/"
find root -name 'lib*.so.*' -path '*x86_64-linux-gnu*' -exec cp -L {} "$to/lib/" \;
cp -L root/lib64/ld-linux-x86-64.so.2 "$to/lib/" 2>/dev/null || cp -L root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$to/lib/"
cp -r root/usr/lib/python3.11 "$to/lib/"
rm -rf "$to"/lib/python3.11/{ensurepip,idlelib,tkinter,turtledemo,lib2to3}

for wheel in "$IN_oracle_wheels"/*.whl; do
    python3 -m zipfile -e "$wheel" "$to/packages"
done
# Compilers for other processors, and tests, are nothing that answers.
rm -rf "$to"/packages/ai_edge_litert/{aot,tools,vendors}
find "$to/packages" -type d -name tests -prune -exec rm -rf {} +

mkdir "$to/oracle"
cp "$SRC"/oracle/*.py "$to/oracle/"
cp "$SRC/launcher.sh" "$to/runner"
chmod 755 "$to/runner" "$to/libexec/python3.11"
# Not the folder of the script first: what lies beside it is the source, and nothing is written there.
PYTHONHOME=$to PYTHONPATH=$to/packages:$to PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 \
    "$to/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$to/lib" \
    "$to/libexec/python3.11" "$SRC/compile.py" | tee "$OUT/version"
grep -q '^1\.4\.0 ' "$OUT/version"
