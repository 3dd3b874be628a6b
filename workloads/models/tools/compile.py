# SPDX-License-Identifier: Apache-2.0
"""Compile what loading TensorFlow loads, and only that: compiling all that was unpacked takes ten times as long."""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path

import tensorflow as tf


def main() -> None:
    """Write a compiled file that needs no comparison with its source beside each loaded module."""
    tf.keras.applications.MobileNet((224, 224, 3), weights=None)  # Keras loads parts of itself when first used
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    for file in sorted(Path(name) for name in files if name and name.endswith(".py")):
        if file != Path(__file__):
            py_compile.compile(str(file), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main()
