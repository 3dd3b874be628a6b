# SPDX-License-Identifier: Apache-2.0
"""Architectures with random weights, for timing only: `python build.py NAME OUT_FOLDER`.

What such a model costs is that of a trained one; what it answers means nothing. Outputs are logits: after a softmax
over random ones nearly all of a thousand int8 scores would be the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipe"))

from conversion import convert, deterministic, tf

SEED = 20260102
CALIBRATION = 16
layers = tf.keras.layers


def mobilenet_v1() -> tf.keras.Model:
    """MobileNet v1 (Howard et al., 2017, table 1), width 1.0, as Keras has it: 4.2 M weights, 224 x 224."""
    return tf.keras.applications.MobileNet((224, 224, 3), alpha=1.0, weights=None, classifier_activation=None)


def alexnet() -> tf.keras.Model:
    """Convolutions of AlexNet (Krizhevsky, 2014: 64, 192, 384, 256, 256) and one dense layer for ten classes.

    Our reconstruction of a file of 9 MB, 128 x 128: with the three dense layers of that paper it has 61 M weights.
    """
    image = tf.keras.Input((128, 128, 3))
    x = _conv_relu(image, 64, 11, 4)
    x = _conv_relu(layers.MaxPooling2D(2)(x), 192, 5)
    x = layers.MaxPooling2D(2)(x)
    for width in (384, 256, 256):
        x = _conv_relu(x, width, 3)
    return tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _conv_relu(x: tf.KerasTensor, width: int, kernel: int, stride: int = 1) -> tf.KerasTensor:
    return layers.Conv2D(width, kernel, stride, padding="same", activation="relu")(x)


def resnet18() -> tf.keras.Model:
    """ResNet-18 (He et al., 2015, table 1) for 1,000 classes: 11.7 M weights; 160 x 160."""
    image = tf.keras.Input((160, 160, 3))
    x = layers.ReLU()(_conv_norm(image, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, width in enumerate((64, 128, 256, 512)):
        x = _residual(x, width, 2 if stage else 1)
        x = _residual(x, width, 1)
    return tf.keras.Model(image, layers.Dense(1000)(layers.GlobalAveragePooling2D()(x)))


def _residual(x: tf.KerasTensor, width: int, stride: int) -> tf.KerasTensor:
    """Two convolutions added to their input, which is projected where its shape differs."""
    y = layers.ReLU()(_conv_norm(x, width, 3, stride))
    # A quarter: sixteen layers of random weights would else let the activations grow from block to block.
    y = _conv_norm(y, width, 3, 1, scale=0.25)
    if x.shape[-1] != width:
        x = _conv_norm(x, width, 1, stride)
    return layers.ReLU()(layers.Add()([x, y]))


def _conv_norm(x: tf.KerasTensor, width: int, kernel: int, stride: int, scale: float = 1.0) -> tf.KerasTensor:
    conv = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)
    return layers.BatchNormalization(gamma_initializer=tf.keras.initializers.Constant(scale))(conv(x))


def draw(model: tf.keras.Model, rng: np.random.Generator) -> None:
    """Give every kernel normal values of variance 2 / fan-in (He et al., 2015), so that activations keep their size.

    Drawn by NumPy, whose values do not depend on the CPU.
    """
    for layer in model.layers:
        for weight in layer.trainable_weights:
            if weight.name == "kernel":
                shape = tuple(weight.shape)
                # The last dimension counts outputs; of a depthwise kernel it is 1, and inputs do not add up.
                fan_in = np.prod(shape[:2]) if isinstance(layer, layers.DepthwiseConv2D) else np.prod(shape[:-1])
                weight.assign(rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in)))


NETWORKS = {"mobilenet_v1_1.0_224": mobilenet_v1, "alexnet": alexnet, "resnet18": resnet18}


def main(name: str, out: Path) -> None:
    """Build the architecture, calibrate on noise, write the two .tflite files to `out`."""
    deterministic(SEED)
    model = NETWORKS[name]()
    rng = np.random.default_rng(SEED)
    draw(model, rng)
    noise = rng.uniform(-1, 1, (CALIBRATION, *model.input_shape[1:])).astype(np.float32)
    convert(model, noise, out, name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
