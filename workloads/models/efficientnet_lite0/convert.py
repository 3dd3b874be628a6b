# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 with its published ImageNet weights: `python convert.py CHECKPOINT PHOTOS_FOLDER OUT_FOLDER`.

Architecture: Tan and Le, EfficientNet, table 1 (B0), less squeeze-and-excitation, with ReLU6: what "Lite" means.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipe"))

from checkpoint import read_checkpoint
from conversion import convert, deterministic, tf
from photos import crops, open_photos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

SIZE = 224
MEAN, DEVIATION = 127.0, 128.0
# Repetitions, kernel, stride of the first, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
layers = tf.keras.layers


class Twin:
    """Layers of the model with the weights of their counterparts in the checkpoint; notes which of those were used."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.unused = {name for name in weights if not name.endswith("num_batches_tracked")}

    def take(self, name: str) -> NDArray[np.float32]:
        """One array of the checkpoint."""
        self.unused.discard(name)
        return self._weights[name]

    def conv(self, x: tf.KerasTensor, conv: str, norm: str, stride: int = 1, *, relu: bool = True) -> tf.KerasTensor:
        """Convolution and batch normalisation; PyTorch keeps kernels as [out, in, height, width]."""
        kernel = self.take(f"{conv}.weight").transpose(2, 3, 1, 0)
        layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], stride, padding="same", use_bias=False)
        return self._normalised(self._with(layer, x, kernel), norm, relu=relu)

    def depthwise(self, x: tf.KerasTensor, conv: str, norm: str, stride: int) -> tf.KerasTensor:
        """Convolution of each channel with its own kernel, [channels, 1, height, width] in PyTorch."""
        kernel = self.take(f"{conv}.weight").transpose(2, 3, 0, 1)
        layer = layers.DepthwiseConv2D(kernel.shape[0], stride, padding="same", use_bias=False)
        return self._normalised(self._with(layer, x, kernel), norm, relu=True)

    def dense(self, x: tf.KerasTensor, name: str) -> tf.KerasTensor:
        """The classifier, with softmax."""
        kernel, bias = self.take(f"{name}.weight").T, self.take(f"{name}.bias")
        return self._with(layers.Dense(kernel.shape[1], activation="softmax"), x, kernel, bias)

    def _normalised(self, x: tf.KerasTensor, name: str, *, relu: bool) -> tf.KerasTensor:
        values = [self.take(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = self._with(layers.BatchNormalization(epsilon=1e-3), x, *values)
        return layers.ReLU(6.0)(x) if relu else x

    def _with(self, layer: tf.keras.layers.Layer, x: tf.KerasTensor, *values: NDArray[np.float32]) -> tf.KerasTensor:
        y = layer(x)
        layer.set_weights(values)
        return y


def network(weights: Weights) -> tf.keras.Model:
    """The model; raises ValueError if the checkpoint holds weights that it has no place for."""
    twin = Twin(weights)
    image = tf.keras.Input((SIZE, SIZE, 3))
    x = twin.conv(image, "_conv_stem", "_bn0", 2)
    number = 0
    for repetitions, kernel, stride, expansion, width in STAGES:
        for repetition in range(repetitions):
            x = block(twin, x, f"_blocks.{number}", (kernel, 1 if repetition else stride, expansion, width))
            number += 1
    x = layers.GlobalAveragePooling2D()(twin.conv(x, "_conv_head", "_bn1"))
    model = tf.keras.Model(image, twin.dense(x, "_fc"))
    if twin.unused:
        raise ValueError(f"the checkpoint has more than EfficientNet-Lite0: {min(twin.unused)}")
    return model


def block(twin: Twin, x: tf.KerasTensor, name: str, shape: tuple[int, int, int, int]) -> tf.KerasTensor:
    """Inverted residual: expand, filter each channel, project; added to its input where the shapes are equal."""
    kernel, stride, expansion, width = shape
    y = twin.conv(x, f"{name}._expand_conv", f"{name}._bn0") if expansion > 1 else x
    y = twin.depthwise(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
    y = twin.conv(y, f"{name}._project_conv", f"{name}._bn2", relu=False)
    expected = (kernel, width)
    if (twin.take(f"{name}._depthwise_conv.weight").shape[2], y.shape[-1]) != expected:
        raise ValueError(f"the checkpoint is not EfficientNet-Lite0: {name}")
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == width else y


def main(checkpoint: Path, photos: Path, out: Path) -> None:
    """Build the twin, calibrate on crops of the photos, write the two .tflite files to `out`."""
    deterministic(1)
    images = crops(open_photos(photos), SIZE)
    model = network(read_checkpoint(checkpoint))
    convert(model, (images - np.float32(MEAN)) / np.float32(DEVIATION), out, "efficientnet_lite0")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
