# SPDX-License-Identifier: Apache-2.0
"""What a .tflite file says of itself, read without running it: number formats, operators, whether it keeps state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.words import Quantization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WEIGHTED = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "CONV_3D": 1,
    "BATCH_MATMUL": 1,
    "SVDF": 1,
    "RNN": 1,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 2,
    "LSTM": 2,
    "EMBEDDING_LOOKUP": 1,
}
"""Operators with weights, and which of their inputs has them; the activations are input 0."""
_BACKWARD = {"TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"}  # weights are input 1, activations input 2
_STATE = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "HASHTABLE", "HASHTABLE_IMPORT", "CALL_ONCE"}
_BLOCKWISE = 2  # QuantizationDetails of the schema since LiteRT 1.3: scales in a tensor of their own
_FORMATS = {
    ("FLOAT32", "FLOAT32"): Quantization.FLOAT32,
    ("FLOAT32", "FLOAT16"): Quantization.FLOAT16,
    ("FLOAT16", "FLOAT16"): Quantization.FLOAT16,
    ("FLOAT32", "INT8"): Quantization.DYNAMIC_INT8,
    ("FLOAT32", "UINT8"): Quantization.DYNAMIC_INT8,
    ("FLOAT32", "INT4"): Quantization.DYNAMIC_INT4,
    ("INT8", "INT8"): Quantization.INT8,
    ("INT8", "INT4"): Quantization.INT8X4,
    ("UINT8", "UINT8"): Quantization.UINT8,
    ("INT16", "INT8"): Quantization.INT16X8,
}
_OF_STORED = {"FLOAT16": Quantization.FLOAT16, "INT8": Quantization.WEIGHTS_INT8, "INT4": Quantization.WEIGHTS_INT4}
_OF_BLOCKS = {"INT8": Quantization.BLOCKWISE_INT8, "INT4": Quantization.BLOCKWISE_INT4}
_OF_ACTIVATIONS = {
    "INT8": Quantization.INT8,
    "UINT8": Quantization.UINT8,
    "INT16": Quantization.INT16X8,
    "FLOAT16": Quantization.FLOAT16,
}
_UNREADABLE = (IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError, RecursionError)


@dataclass(frozen=True)
class Anatomy:
    """A file from the outside: its format, how many operators of which kind it has, and whether it keeps state."""

    quantization: Quantization
    operators: dict[str, int]
    stateful: bool


def read_anatomy(path: Path) -> Anatomy:
    """Raises UsageError if the file cannot be read as a TensorFlow Lite model."""
    import struct  # noqa: PLC0415

    from tflite.Model import Model  # noqa: PLC0415 - its package loads 200 modules

    try:
        graphs = _graphs(Model.GetRootAs(path.read_bytes(), 0))
        operators = Counter(operator.name for graph in graphs for operator in graph.operators)
        stateful = bool(_STATE & set(operators)) or any(graph.has_variables for graph in graphs)
        return Anatomy(_quantization(graphs), dict(sorted(operators.items())), stateful)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (struct.error, *_UNREADABLE):
        raise UsageError(f"{path}: no TensorFlow Lite model: its tables lead outside of the file") from None


@dataclass(frozen=True)
class _Tensor:
    type: str
    constant: bool
    blockwise: bool


@dataclass(frozen=True)
class _Operator:
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Graph:
    tensors: tuple[_Tensor, ...]
    operators: tuple[_Operator, ...]
    inputs: tuple[int, ...]
    has_variables: bool

    def dequantized(self) -> dict[int, int]:
        """By a tensor that is computed from stored weights: those weights."""
        found = {}
        for operator in self.operators:
            if operator.name == "DEQUANTIZE" and self.tensors[operator.inputs[0]].constant:
                found[operator.outputs[0]] = operator.inputs[0]
        return found


def _graphs(model: Any) -> list[_Graph]:
    from tflite.BuiltinOperator import BuiltinOperator  # noqa: PLC0415
    from tflite.TensorType import TensorType  # noqa: PLC0415

    names = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}
    types = {number: name for name, number in vars(TensorType).items() if isinstance(number, int)}
    codes = [_code(model.OperatorCodes(i), names) for i in range(model.OperatorCodesLength())]
    filled = {i for i in range(model.BuffersLength()) if model.Buffers(i).DataLength() > 0}
    filled |= {i for i in range(model.BuffersLength()) if _is_outside(model.Buffers(i))}
    return [_graph(model.Subgraphs(i), codes, types, filled) for i in range(model.SubgraphsLength())]


def _is_outside(buffer: Any) -> bool:
    """Whether a buffer lies behind the tables, as in files of more than 2 GB."""
    return bool(buffer.Offset() > 1)


def _code(code: Any, names: dict[int, str]) -> str:
    """Small numbers stand in the old field of the schema, larger ones in the new."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if names.get(number) == "CUSTOM" and code.CustomCode():
        return str(code.CustomCode().decode("utf-8", "replace"))
    return names.get(number, f"operator {number}")


def _graph(graph: Any, codes: list[str], types: dict[int, str], filled: set[int]) -> _Graph:
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    return _Graph(
        tensors=tuple(_Tensor(types.get(t.Type(), "?"), t.Buffer() in filled, _blocks(t)) for t in tensors),
        operators=tuple(
            _Operator(codes[o.OpcodeIndex()], _ints(o.InputsAsNumpy()), _ints(o.OutputsAsNumpy())) for o in operators
        ),
        inputs=_ints(graph.InputsAsNumpy()),
        has_variables=any(t.IsVariable() for t in tensors),
    )


def _ints(found: Any) -> tuple[int, ...]:
    """What the schema's reader gives: an array, or 0 for none."""
    return () if isinstance(found, int) else tuple(map(int, found))


def _blocks(tensor: Any) -> bool:
    quantization = tensor.Quantization()
    return quantization is not None and quantization.DetailsType() == _BLOCKWISE


def _quantization(graphs: list[_Graph]) -> Quantization:
    """That of the operators with weights; without one, of the inputs."""
    found = {kind for graph in graphs for kind in _kinds(graph)}
    if not found:
        return _of_inputs(graphs)
    if len(found) > 1:
        found -= {Quantization.FLOAT32} if found <= _PARTIAL else set()
    return found.pop() if len(found) == 1 else Quantization.MIXED


_PARTIAL = {
    *(Quantization.FLOAT32, Quantization.FLOAT16, Quantization.DYNAMIC_INT8, Quantization.DYNAMIC_INT4),
    *(Quantization.WEIGHTS_INT8, Quantization.WEIGHTS_INT4, Quantization.BLOCKWISE_INT8, Quantization.BLOCKWISE_INT4),
}
"""Formats in which converters leave small operators as they were."""


def _of_inputs(graphs: list[_Graph]) -> Quantization:
    types = {graphs[0].tensors[index].type for index in graphs[0].inputs} if graphs else set()
    kinds = {_OF_ACTIVATIONS.get(each, Quantization.FLOAT32) for each in types}
    return kinds.pop() if len(kinds) == 1 else Quantization.FLOAT32 if not kinds else Quantization.MIXED


def _kinds(graph: _Graph) -> Iterator[Quantization]:
    stored = graph.dequantized()
    for operator in graph.operators:
        if operator.name in _BACKWARD:
            weights, activations = operator.inputs[1], operator.inputs[2]
        elif operator.name in _WEIGHTED and len(operator.inputs) > _WEIGHTED[operator.name]:
            weights, activations = operator.inputs[_WEIGHTED[operator.name]], operator.inputs[0]
        else:
            continue
        source = graph.tensors[stored.get(weights, weights)]
        if not source.constant:
            continue  # two activations are multiplied
        if source.blockwise:
            yield _OF_BLOCKS.get(source.type, Quantization.MIXED)
        elif weights in stored:
            yield _OF_STORED.get(source.type, Quantization.MIXED)
        else:
            pair = (graph.tensors[activations].type, source.type)
            if operator.name == "EMBEDDING_LOOKUP":
                pair = ("FLOAT32", source.type)
            yield _FORMATS.get(pair, Quantization.MIXED)
