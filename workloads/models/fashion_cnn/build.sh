#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Train and convert the Fashion-MNIST classifier.
set -euo pipefail

dpkg-deb -x "$IN_fashion_mnist"/dataset-fashion-mnist_*.deb root
"$NODE_model_tools/bin/python" "$SRC/fashion_cnn/train.py" root/usr/share/datasets/fashion-mnist "$OUT"
