#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Take the colour photos out of scikit-image's wheel, where they are data for examples.
set -euo pipefail

python3 -m zipfile -e "$IN_photos"/scikit_image-*.whl wheel
for photo in astronaut.png chelsea.png coffee.png hubble_deep_field.jpg motorcycle_left.png retina.jpg rocket.jpg; do
    cp "wheel/skimage/data/$photo" "$OUT/"
done
cp wheel/scikit_image-*.dist-info/LICENSE.txt "$OUT/"
