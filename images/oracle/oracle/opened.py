# SPDX-License-Identifier: Apache-2.0
"""A model that is open: its inputs and outputs by the names that guest/world/runner/ports.c gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
"""The kernels of the release by what is said of them: with its usual delegate, its own quick ones, its plain loops."""
USUAL_KEY = "serving_default"
TYPES = {
    np.float16: "FLOAT16",
    np.float32: "FLOAT32",
    np.float64: "FLOAT64",
    np.bool_: "BOOL",
    np.int8: "INT8",
    np.int16: "INT16",
    np.int32: "INT32",
    np.int64: "INT64",
    np.uint8: "UINT8",
    np.uint16: "UINT16",
    np.uint32: "UINT32",
    np.uint64: "UINT64",
    np.complex64: "COMPLEX64",
    np.complex128: "COMPLEX128",
    np.bytes_: "STRING",
}


class ModelError(Exception):
    """What is wrong with a model, in one line."""


@dataclass(frozen=True)
class Port:
    """A tensor that is fed or read."""

    name: str
    index: int
    dtype: Any
    shape: tuple[int, ...]
    open_shape: tuple[int, ...]
    scale: float
    zero_point: int
    channels: int

    @property
    def bytes(self) -> int:
        """Of the whole tensor."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def type(self) -> str:
        """As the library calls it."""
        return TYPES.get(self.dtype, np.dtype(self.dtype).name.upper())

    def described(self) -> dict[str, Any]:
        """JSON-able; `open_shape` has -1 where a dimension is free, `channels` how many scales there are."""
        return {
            "name": self.name,
            "type": self.type,
            "shape": self.shape,
            "open_shape": self.open_shape,
            "bytes": self.bytes,
            "scale": self.scale,
            "zero_point": self.zero_point,
            "channels": self.channels,
        }


@dataclass(frozen=True)
class Opened:
    """An interpreter with its tensors allocated."""

    interpreter: Any
    signature: str | None
    signatures: tuple[str, ...]
    subgraph: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @classmethod
    def load(cls, path: str, kernel: str, signature: str | None, threads: int = 1) -> Opened:
        """Raises ModelError with what the library says."""
        try:
            made = Interpreter(model_path=path, experimental_op_resolver_type=KERNELS[kernel], num_threads=threads)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"is no TFLite model: {_line(error)}") from None
        defs = made._get_full_signature_list()
        key = _key(defs, signature)
        subgraph = made._interpreter.GetSubgraphIndexFromSignature(key) if key is not None else 0
        try:
            made._interpreter.AllocateTensors(subgraph)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"its tensors cannot be allocated: {_line(error)}") from None
        inputs, outputs = (_ports(made, defs.get(key), kind, subgraph) for kind in ("inputs", "outputs"))
        return cls(made, key, tuple(defs), subgraph, inputs, outputs)

    def invoke(self, record: memoryview) -> list[bytes]:
        """Feed the tensors that lie one behind the other in `record`; all outputs, in order. Raises ModelError."""
        at = 0
        library = self.interpreter._interpreter
        try:
            for port in self.inputs:
                array = np.frombuffer(record[at : at + port.bytes], port.dtype).reshape(port.shape)
                library.SetTensor(port.index, array, self.subgraph)
                at += port.bytes
            library.Invoke(self.subgraph)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"the runtime could not execute it: {_line(error)}") from None
        return [np.ascontiguousarray(library.GetTensor(port.index, self.subgraph)).tobytes() for port in self.outputs]

    def check(self) -> None:
        """Raises ModelError unless every tensor can be fed or read."""
        if not self.inputs or not self.outputs:
            raise ModelError("has no input or no output")
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            for port in ports:
                if port.type not in TYPES.values() or port.type in ("STRING", "COMPLEX64", "COMPLEX128"):
                    raise ModelError(f"{kind} '{port.name}' is of type {port.type}, which cannot be fed or read")
                if port.bytes == 0:
                    raise ModelError(f"{kind} '{port.name}' has no fixed size")


def _line(error: Exception) -> str:
    """What the library complained of, which it writes without a gap."""
    return re.sub(r"(?<=\S)Node number", "; node number", " ".join(str(error).split()))


def _key(defs: dict[str, Any], wanted: str | None) -> str | None:
    """The signature that is asked for, or the usual one, or the first by its bytes; None if the model has none."""
    if wanted is not None:
        if wanted not in defs:
            raise ModelError(f"has no signature '{wanted}'; it has: {', '.join(defs) or 'none'}")
        return wanted
    return USUAL_KEY if USUAL_KEY in defs else min(defs, key=str.encode, default=None)


def _ports(made: Any, named: dict[str, Any] | None, kind: str, subgraph: int) -> tuple[Port, ...]:
    if named is not None:
        names = sorted(named[kind].items(), key=lambda item: item[0].encode())
        return tuple(_port(name, made._get_tensor_details(index, subgraph)) for name, index in names)
    indices = made._interpreter.InputIndices() if kind == "inputs" else made._interpreter.OutputIndices()
    ports: list[Port] = []
    for number, index in enumerate(indices):
        details = made._get_tensor_details(index, subgraph)
        name = details["name"]
        if not name or name in {port.name for port in ports}:
            name = f"{name}:{number}"
        ports.append(_port(name, details))
    return tuple(ports)


def _port(name: str, details: dict[str, Any]) -> Port:
    """`quantization` is that of the whole tensor: scale 0 where there is none, or one for each channel."""
    scale, zero_point = details["quantization"]
    open_shape = tuple(map(int, details["shape_signature"])) or tuple(map(int, details["shape"]))
    return Port(
        name=name,
        index=int(details["index"]),
        dtype=details["dtype"],
        shape=tuple(map(int, details["shape"])),
        open_shape=open_shape,
        scale=float(scale),
        zero_point=int(zero_point),
        channels=len(details["quantization_parameters"]["scales"]),
    )
