# SPDX-License-Identifier: Apache-2.0
"""Train the Fashion-MNIST classifier and convert it: `python train.py DATASET_FOLDER OUT_FOLDER`.

The test images are not looked at here: nothing is chosen by them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipe"))

from conversion import convert, deterministic, tf
from idx import read_idx

SEED = 20260101
EPOCHS = 10
BATCH = 128
PEAK_RATE = 4e-3
CALIBRATION = 500
layers = tf.keras.layers


def network() -> tf.keras.Model:
    """Four convolutions and one dense layer, 64,000 parameters; input [28, 28, 1] in 0..1, ten probabilities."""
    image = tf.keras.Input((28, 28, 1))
    x = image
    for width, size, step in ((24, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1)):
        x = layers.Conv2D(width, size, step, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(image, layers.Dense(10, activation="softmax")(x))


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image mirrored or not, and moved by at most one pixel: what garments in photos may be too."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), (1, 2))[..., 0, :, :]
    rows, columns = rng.integers(0, 3, (2, len(images)))
    moved = windows[np.arange(len(images)), rows, columns][..., np.newaxis]
    mirrored = rng.random(len(images)) < 0.5
    moved[mirrored] = moved[mirrored, :, ::-1]
    return moved


def train(images: np.ndarray, labels: np.ndarray) -> tf.keras.Model:
    """Adam with a cosine rate after a short rise; the images change a little every epoch."""
    model = network()
    steps = EPOCHS * (len(images) // BATCH)
    rate = tf.keras.optimizers.schedules.CosineDecay(
        PEAK_RATE / 10, steps - steps // 10, warmup_target=PEAK_RATE, warmup_steps=steps // 10
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(tf.keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=False)
    rng = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))[: len(images) // BATCH * BATCH]
        log = model.fit(varied(images[order], rng), labels[order], BATCH, shuffle=False, verbose=0).history
        sys.stdout.write(f"epoch {epoch + 1} of {EPOCHS}: training accuracy {log['accuracy'][0]:.4f}\n")
        sys.stdout.flush()
    return model


def main(dataset: Path, out: Path) -> None:
    """Read the 60,000 training images, train, write the two .tflite files to `out`."""
    deterministic(SEED, threads=2)
    images = read_idx(dataset / "train-images-idx3-ubyte.gz")[..., np.newaxis].astype(np.float32) / np.float32(255)
    labels = read_idx(dataset / "train-labels-idx1-ubyte.gz")
    convert(train(images, labels), images[:CALIBRATION], out, "fashion_cnn")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
