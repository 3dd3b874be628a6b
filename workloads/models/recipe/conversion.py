# SPDX-License-Identifier: Apache-2.0
"""From a Keras model to its two .tflite files; runs in the tool environment `model-tools` only."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

# Before TensorFlow is loaded: same bytes for the same tools, and a log with nothing but what goes wrong.
os.environ |= {
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def deterministic(seed: int, threads: int = 1) -> None:
    """Seed every source of randomness; with more than one thread only the same number gives the same bytes."""
    random.seed(seed)
    np.random.seed(seed)
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(threads)


def convert(model: tf.keras.Model, calibration: Floats, folder: Path, name: str) -> dict[str, Path]:
    """Write NAME_float32.tflite and NAME_int8.tflite (all int8, inputs and outputs too) with batch size 1.

    `calibration` is [N, H, W, C], preprocessed: activations' ranges are taken from it. Returns path by quantization.
    """
    found = {}
    for quantization, images in (("float32", None), ("int8", calibration)):
        found[quantization] = folder / f"{name}_{quantization}.tflite"
        found[quantization].write_bytes(_flatbuffer(model, images))
    return found


def _flatbuffer(model: tf.keras.Model, calibration: Floats | None) -> bytes:
    """A function with a batch of one and its weights as constants: no node of the model is then about either."""
    shape = (1, *model.input_shape[1:])
    function = tf.function(lambda image: model(image, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(concrete)])
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _one_by_one(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _one_by_one(images: Floats) -> Iterator[list[Floats]]:
    for image in images:
        yield [image[np.newaxis]]
