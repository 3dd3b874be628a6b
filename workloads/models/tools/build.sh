#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack an interpreter and its packages side by side: nothing is installed and nothing of this computer's Python is used.
set -euo pipefail

for deb in "$IN_model_python"/*.deb; do
    dpkg-deb -x "$deb" root
done
mkdir -p "$OUT/bin" "$OUT/lib" "$OUT/libexec" "$OUT/packages"
cp -L root/usr/bin/python3.13 "$OUT/libexec/"
cp -L root/usr/lib/x86_64-linux-gnu/*.so* "$OUT/lib/"
cp -r root/usr/lib/python3.13 "$OUT/lib/"
rm -rf "$OUT"/lib/python3.13/{ensurepip,idlelib,tkinter,turtledemo}

# A wheel is a zip file; what it wants beside its packages lies in NAME.data (binary distribution format).
for wheel in "$IN_model_wheels"/*.whl; do
    python3 -m zipfile -e "$wheel" "$OUT/packages"
done
for part in "$OUT"/packages/*.data/{purelib,platlib}; do
    if [ -d "$part" ]; then
        cp -r "$part/." "$OUT/packages/"
    fi
done
# Headers and tests are for those who build with TensorFlow, or it.
rm -rf "$OUT"/packages/*.data "$OUT"/packages/tensorflow/include "$OUT"/packages/{setuptools,wheel,pkg_resources}
find "$OUT/packages" -type d -name tests -prune -exec rm -rf {} +

cp "$SRC/tools/launcher.sh" "$OUT/bin/python"
chmod 755 "$OUT/bin/python" "$OUT/libexec/python3.13"
# Once, here: nobody writes to the cache later.
"$OUT/bin/python" "$SRC/tools/compile.py"
"$OUT/bin/python" -c 'import tensorflow, numpy, PIL; print(tensorflow.__version__, numpy.__version__)' | tee "$OUT/version"
