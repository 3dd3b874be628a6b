# SPDX-License-Identifier: Apache-2.0
"""Small .tflite models from tensors and operators, written by the schema that the pinned LiteRT wheel brings along."""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCHEMA = "ai_edge_litert/schema_py_generated.py"
TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "string": 5,
    "bool": 6,
    "int16": 7,
    "complex64": 8,
    "int8": 9,
    "resource": 13,
    "int4": 17,
}
STORED = {**{name: name for name in TYPES if name not in ("string", "resource", "int4")}, "int4": "int8"}


@cache
def schema() -> Any:
    """The module with the schema's classes; skips the test if no wheel was fetched yet."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    wheels = sorted(cache_folder.glob("*/ai_edge_litert-1.4.0-*.whl"))
    if not wheels:
        pytest.skip("the LiteRT wheel is fetched when node litert is built")
    with zipfile.ZipFile(wheels[0]) as wheel:
        code = compile(wheel.read(SCHEMA), SCHEMA, "exec")
    spec = importlib.util.spec_from_loader("schema_py_generated", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its classes look for it
    exec(code, module.__dict__)
    return module


@dataclass
class Graph:
    """One subgraph: tensors and operators by number."""

    model: FlatModel
    made: Any
    outer: list[int] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: list[int],
        kind: str = "float32",
        *,
        data: Any = None,
        scale: float | list[float] | None = None,
        zero: int = 0,
        axis: int = 0,
        blocks: tuple[int, int] | None = None,
        variable: bool = False,
        open_shape: list[int] | None = None,
    ) -> int:
        """A tensor's number. `data` makes it constant; `blocks`: the number of its scales' tensor, and of a block."""
        lib = schema()
        made = lib.TensorT()
        made.name, made.type, made.isVariable = name, TYPES[kind], variable
        made.shape = np.array(shape, np.int32)
        made.buffer = self.model.buffer(data, kind) if data is not None else 0
        made.hasRank = True
        if open_shape is not None:
            made.shapeSignature = np.array(open_shape, np.int32)
        if scale is not None or blocks is not None:
            made.quantization = self._quantization(scale, zero, axis, blocks)
        self.made.tensors.append(made)
        return len(self.made.tensors) - 1

    def _quantization(self, scale: Any, zero: int, axis: int, blocks: tuple[int, int] | None) -> Any:
        lib = schema()
        made = lib.QuantizationParametersT()
        if blocks is not None:
            details = lib.BlockwiseQuantizationT()
            details.scales, details.blockSize, details.zeroPoints = blocks[0], blocks[1], -1
            made.detailsType, made.details = lib.QuantizationDetails.BlockwiseQuantization, details
        else:
            scales = np.atleast_1d(np.array(scale, np.float32))
            made.scale, made.zeroPoint = scales, np.full(len(scales), zero, np.int64)
        made.quantizedDimension = axis
        return made

    def op(
        self,
        name: str,
        inputs: list[int],
        outputs: list[int],
        options: str | None = None,
        *,
        version: int = 1,
        custom: bytes | None = None,
        **values: Any,
    ) -> list[int]:
        """An operator by its name in the schema, with `options` (the name of their table) set to `values`."""
        lib = schema()
        made = lib.OperatorT()
        made.opcodeIndex = self.model.code(name, version, custom=custom is not None)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            made.builtinOptions = getattr(lib, options + "T")()
            made.builtinOptionsType = getattr(lib.BuiltinOptions, options)
            for key, value in values.items():
                setattr(made.builtinOptions, key, value)
        if custom is not None:
            made.customOptions = np.frombuffer(custom, np.uint8)
        self.made.operators.append(made)
        return outputs

    def ends(self, inputs: list[int], outputs: list[int]) -> None:
        """What is fed and read."""
        self.made.inputs, self.made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)


class FlatModel:
    """A model that is being made."""

    def __init__(self) -> None:
        lib = schema()
        self._made = lib.ModelT()
        self._made.version = 3
        self._made.operatorCodes, self._made.subgraphs, self._made.signatureDefs = [], [], []
        self._made.buffers = [lib.BufferT()]
        self._codes: dict[tuple[str, int], int] = {}

    def graph(self, name: str = "main") -> Graph:
        """One more subgraph; the first is the primary one."""
        made = schema().SubGraphT()
        made.name, made.tensors, made.operators = name, [], []
        self._made.subgraphs.append(made)
        return Graph(self, made)

    def buffer(self, data: Any, kind: str) -> int:
        """Content of a constant; two numbers of four bits share a byte, the first in its lower half."""
        made = schema().BufferT()
        numbers = np.ascontiguousarray(np.array(data, STORED[kind]))
        if kind == "int4":
            low, high = numbers.ravel()[::2], np.resize(numbers.ravel()[1::2], len(numbers.ravel()[::2]))
            numbers = ((low & 15) | (high << 4)).astype(np.int8)
        made.data = np.frombuffer(numbers.tobytes(), np.uint8)
        self._made.buffers.append(made)
        return len(self._made.buffers) - 1

    def code(self, name: str, version: int, *, custom: bool) -> int:
        """The number of an operator's kind in this file."""
        if (name, version) not in self._codes:
            lib = schema()
            made = lib.OperatorCodeT()
            number = lib.BuiltinOperator.CUSTOM if custom else getattr(lib.BuiltinOperator, name)
            made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), version
            if custom:
                made.customCode = name
            self._codes[name, version] = len(self._made.operatorCodes)
            self._made.operatorCodes.append(made)
        return self._codes[name, version]

    def sign(self, key: str, inputs: dict[str, int], outputs: dict[str, int], subgraph: int = 0) -> None:
        """A signature: tensors by names of their own."""
        lib = schema()
        made = lib.SignatureDefT()
        made.signatureKey, made.subgraphIndex = key, subgraph
        made.inputs, made.outputs = ([_named(lib, *each) for each in ends.items()] for ends in (inputs, outputs))
        self._made.signatureDefs.append(made)

    def finish(self) -> bytes:
        """The file."""
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self._made.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _named(lib: Any, name: str, number: int) -> Any:
    made = lib.TensorMapT()
    made.name, made.tensorIndex = name, number
    return made
