#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpack the data set and rewrite its test part as .npy files.
set -euo pipefail

dpkg-deb -x "$IN_fashion_mnist"/dataset-fashion-mnist_*.deb root
python3 "$SRC/fashion-mnist/arrays.py" root/usr/share/datasets/fashion-mnist "$OUT"
