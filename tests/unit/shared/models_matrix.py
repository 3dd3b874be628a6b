# SPDX-License-Identifier: Apache-2.0
"""A table of small models: dtype, quantization, inputs and outputs, rank, state, delegation; and what is right of each.

Each is a function that makes the file. `CASES` says of each how it is read, what is known of it, or the line that
refuses it. Weights are drawn from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flat_model import FlatModel, Graph


@dataclass(frozen=True)
class Case:
    """One model: how it is made and read, its format, and where it is known, whether XNNPACK takes part.

    `not_on_arm`: XNNPACK can prepare it on x86 only; the worlds run it without, and say so. `problem` is in the one
    line that refuses it. `limits` are those of its random inputs.
    """

    make: Callable[[], bytes]
    quantization: str = "float32"
    output: Any = "raw"
    xnnpack: bool | None = None
    not_on_arm: bool = False
    stateful: bool = False
    problem: str | None = None
    signature: str | None = None
    limits: tuple[float, float] | None = None


CASES: dict[str, Case] = {}


def case(**facts: Any) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Enter a model into the table under its function's name."""

    def enter(make: Callable[[], bytes]) -> Callable[[], bytes]:
        CASES[make.__name__] = Case(make, **facts)
        return make

    return enter


def weights(*shape: int, low: float = -1.0, high: float = 1.0) -> Any:
    return np.random.default_rng(list(shape)).uniform(low, high, shape).astype(np.float32)


def whole(*shape: int, low: int = -127, high: int = 127) -> Any:
    return np.random.default_rng([7, *shape]).integers(low, high, shape, endpoint=True)


def single(build: Callable[[Graph], tuple[list[int], list[int]]]) -> bytes:
    """A model of one subgraph without a signature."""
    model = FlatModel()
    graph = model.graph()
    graph.ends(*build(graph))
    return model.finish()


# --- float32, by rank and by number of inputs and outputs -------------------------------------------------------------


def dense(rank: int, *, keep: bool) -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        lead = [1] * (rank - 1)
        x, w = graph.tensor("x", [*lead, 16]), graph.tensor("w", [10, 16], data=weights(10, 16))
        y = graph.tensor("y", [*lead, 10])
        graph.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", version=5, keepNumDims=keep)
        return [x], [y]

    return single(build)


@case(xnnpack=True, output="topk")
def dense_rank2() -> bytes:
    return dense(2, keep=False)


@case(xnnpack=True, output="scores")
def dense_rank4() -> bytes:
    return dense(4, keep=True)


@case(xnnpack=True)
def dense_rank6() -> bytes:
    return dense(6, keep=True)


@case(xnnpack=False)
def dense_rank7() -> bytes:
    """XNNPACK cannot prepare it; the runtime's own kernels can."""
    return dense(7, keep=True)


def added(shape: list[int], kind: str = "float32", **quantized: Any) -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y, z = (graph.tensor(name, shape, kind, **quantized) for name in "xyz")
        graph.op("ADD", [x, y], [z], "AddOptions", version=3 if kind == "int16" else 2 if quantized else 1)
        return [x, y], [z]

    return single(build)


@case()
def add_scalars() -> bytes:
    return added([])


@case()
def add_rank1() -> bytes:
    return added([5])


@case()
def add_rank5() -> bytes:
    return added([1, 2, 3, 2, 2])


@case(xnnpack=False)
def add_rank8() -> bytes:
    return added([1, 2, 1, 2, 1, 2, 1, 2])


@case()
def add_batch_of_three() -> bytes:
    return added([3, 4])


@case(output={"read": "scores", "tensor": "first"})
def signature_in_other_order() -> bytes:
    """The file has a, b, c and difference, product; the signature gives other names in another order."""
    model = FlatModel()
    graph = model.graph()
    a, b, c = (graph.tensor(name, [1, 4]) for name in "abc")
    difference, product = graph.tensor("difference", [1, 4]), graph.tensor("product", [1, 4])
    graph.op("SUB", [a, b], [difference], "SubOptions")
    graph.op("MUL", [b, c], [product], "MulOptions")
    graph.ends([a, b, c], [difference, product])
    model.sign("serving_default", {"zeta": a, "mid": b, "alpha": c}, {"second": difference, "first": product})
    return model.finish()


@case(signature="decode")
def two_signatures() -> bytes:
    """Two subgraphs, each with a way in of its own."""
    model = FlatModel()
    for number, (key, operator) in enumerate((("encode", "ADD"), ("decode", "SUB"))):
        graph = model.graph(key)
        x, y = graph.tensor("x", [1, 4]), graph.tensor("y", [1, 4])
        k = graph.tensor("k", [4], data=weights(4))
        graph.op(operator, [x, k], [y], f"{operator.capitalize()}Options")
        graph.ends([x], [y])
        model.sign(key, {"x": x}, {"y": y}, number)
    return model.finish()


@case()
def same_names() -> bytes:
    """Three outputs that are called alike, as some converters leave them."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        axis = graph.tensor("axis", [], "int32", data=1)
        x = graph.tensor("", [1, 6])
        outputs = [graph.tensor("part", [1, 2]) for _ in range(3)]
        graph.op("SPLIT", [axis, x], outputs, "SplitOptions", numSplits=3)
        return [x], outputs

    return single(build)


@case(output="label")
def open_batch() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x = graph.tensor("x", [1, 8], open_shape=[-1, 8])
        y = graph.tensor("y", [1, 8], open_shape=[-1, 8])
        graph.op("SOFTMAX", [x], [y], "SoftmaxOptions", beta=1.0)
        return [x], [y]

    return single(build)


def convolution(graph: Graph, x: int, shape: list[int], kind: str, **more: Any) -> int:
    w = graph.tensor("w", [4, 3, 3, shape[-1]], kind, **more)
    b = graph.tensor("b", [4], data=weights(4))
    y = graph.tensor("y", [1, *shape[1:3], 4])
    graph.op("CONV_2D", [x, w, b], [y], "Conv2DOptions", version=2, strideH=1, strideW=1, padding=0)
    return y


@case(xnnpack=True)
def conv_picture() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x = graph.tensor("image", [1, 8, 6, 3])
        return [x], [convolution(graph, x, [1, 8, 6, 3], "float32", data=weights(4, 3, 3, 3))]

    return single(build)


@case()
def conv_channels_first() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, moved = graph.tensor("image", [1, 3, 8, 6]), graph.tensor("moved", [1, 8, 6, 3])
        order = graph.tensor("order", [4], "int32", data=[0, 2, 3, 1])
        graph.op("TRANSPOSE", [x, order], [moved], "TransposeOptions")
        return [x], [convolution(graph, moved, [1, 8, 6, 3], "float32", data=weights(4, 3, 3, 3))]

    return single(build)


@case(xnnpack=True)
def depthwise() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 5, 5, 4]), graph.tensor("y", [1, 5, 5, 4])
        w, b = graph.tensor("w", [1, 3, 3, 4], data=weights(1, 3, 3, 4)), graph.tensor("b", [4], data=weights(4))
        options = {"strideH": 1, "strideW": 1, "padding": 0, "depthMultiplier": 1}
        graph.op("DEPTHWISE_CONV_2D", [x, w, b], [y], "DepthwiseConv2DOptions", **options)
        return [x], [y]

    return single(build)


@case()
def transposed_convolution() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 3, 3, 2]), graph.tensor("y", [1, 6, 6, 4])
        size = graph.tensor("size", [4], "int32", data=[1, 6, 6, 4])
        w = graph.tensor("w", [4, 2, 2, 2], data=weights(4, 2, 2, 2))
        graph.op("TRANSPOSE_CONV", [size, w, x], [y], "TransposeConvOptions", strideH=2, strideW=2, padding=0)
        return [x], [y]

    return single(build)


@case()
def matrix_product() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        a, b = graph.tensor("a", [1, 3, 4]), graph.tensor("b", [1, 4, 5])
        y = graph.tensor("y", [1, 3, 5])
        graph.op("BATCH_MATMUL", [a, b], [y], "BatchMatMulOptions")
        return [a, b], [y]

    return single(build)


@case()
def chain_of_functions() -> bytes:
    """Approximations of which each kernel has its own."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        tensors = [graph.tensor(f"t{number}", [1, 64]) for number in range(6)]
        for place, name in enumerate(("LOGISTIC", "EXP", "TANH", "SQRT", "COS")):
            graph.op(name, [tensors[place]], [tensors[place + 1]])
        return [tensors[0]], [tensors[-1]]

    return single(build)


@case(output={"read": "keypoints", "tensor": "points", "dims": 3}, limits=(0.0, 1.0))
def landmarks() -> bytes:
    """Points in pixels: values of hundreds, in which an absolute 1e-4 is nothing."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, presence = graph.tensor("image", [1, 8, 8, 3]), graph.tensor("presence", [1, 1])
        flat, points = graph.tensor("flat", [1, 192]), graph.tensor("points", [1, 15])
        size = graph.tensor("size", [2], "int32", data=[1, 192])
        graph.op("RESHAPE", [x, size], [flat], "ReshapeOptions", newShape=np.array([1, 192], np.int32))
        for name, count, out in (("w", 15, points), ("v", 1, presence)):
            w = graph.tensor(name, [count, 192], data=weights(count, 192, low=-20, high=40))
            graph.op("FULLY_CONNECTED", [flat, w, -1], [out], "FullyConnectedOptions")
        return [x], [points, presence]

    return single(build)


@case(output={"read": "detections", "boxes": "regressors", "scores": "classificators", "top": 3, "min_score": -50.0})
def detector() -> bytes:
    """Rows of boxes and their scores, which a program decodes: the first tensor is no list of classes."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, flat = graph.tensor("image", [1, 4, 4, 3]), graph.tensor("flat", [1, 48])
        size = graph.tensor("size", [2], "int32", data=[1, 48])
        graph.op("RESHAPE", [x, size], [flat], "ReshapeOptions", newShape=np.array([1, 48], np.int32))
        outputs = []
        for name, shape in (("regressors", [1, 12, 6]), ("classificators", [1, 12, 1])):
            count = shape[1] * shape[2]
            w = graph.tensor(f"w_{name}", [count, 48], data=weights(count, 48))
            row, out = graph.tensor(f"row_{name}", [1, count]), graph.tensor(name, shape)
            to = graph.tensor(f"to_{name}", [3], "int32", data=shape)
            graph.op("FULLY_CONNECTED", [flat, w, -1], [row], "FullyConnectedOptions")
            graph.op("RESHAPE", [row, to], [out], "ReshapeOptions", newShape=np.array(shape, np.int32))
            outputs.append(out)
        return [x], outputs

    return single(build)


@case(
    output={
        "read": "detections",
        "boxes": "boxes",
        "scores": "scores",
        "classes": "classes",
        "count": "count",
        "top": 2,
    },
    limits=(0.0, 1.0),
)
def detector_with_classes() -> bytes:
    """Four outputs, as detectors with their decoding inside have them."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        boxes, scores = graph.tensor("raw_boxes", [1, 4, 4]), graph.tensor("raw_scores", [1, 4])
        half = graph.tensor("half", [1], data=[0.5])
        outs = [graph.tensor("boxes", [1, 4, 4]), graph.tensor("scores", [1, 4]), graph.tensor("classes", [1, 4])]
        graph.op("MUL", [boxes, half], [outs[0]], "MulOptions")
        graph.op("MUL", [scores, half], [outs[1]], "MulOptions")
        kinds, count = graph.tensor("kinds", [1, 4], data=[[3, 1, 2, 0]]), graph.tensor("three", [1], data=[3.0])
        zero, counted = graph.tensor("zero", [1], data=[0.0]), graph.tensor("count", [1])
        nothing, none = graph.tensor("nothing", [1, 4]), graph.tensor("none", [1])
        graph.op("MUL", [scores, zero], [nothing], "MulOptions")
        graph.op("ADD", [nothing, kinds], [outs[2]], "AddOptions")
        index = graph.tensor("axes", [2], "int32", data=[0, 1])
        graph.op("SUM", [nothing, index], [none], "ReducerOptions", keepDims=False)
        graph.op("ADD", [none, count], [counted], "AddOptions")
        return [boxes, scores], [*outs, counted]

    return single(build)


# --- other types ------------------------------------------------------------------------------------------------------


@case(limits=(-1000, 1000))
def add_int32() -> bytes:
    return added([1, 4], "int32")


@case(limits=(-1000, 1000))
def add_int64() -> bytes:
    return added([2, 2], "int64")


@case()
def both_flags() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y, z = (graph.tensor(name, [1, 8], "bool") for name in "xyz")
        graph.op("LOGICAL_AND", [x, y], [z])
        return [x, y], [z]

    return single(build)


@case(quantization="float16", xnnpack=None)
def half_floats() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 8], "float16"), graph.tensor("y", [1, 8], "float16")
        wide, doubled = graph.tensor("wide", [1, 8]), graph.tensor("doubled", [1, 8])
        graph.op("CAST", [x], [wide], "CastOptions", inDataType=1, outDataType=0)
        graph.op("MUL", [wide, wide], [doubled], "MulOptions")
        graph.op("CAST", [doubled], [y], "CastOptions", inDataType=0, outDataType=1)
        return [x], [y]

    return single(build)


@case(limits=(-100, 100))
def whole_to_float() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 6], "int32"), graph.tensor("y", [1, 6])
        graph.op("CAST", [x], [y], "CastOptions", inDataType=2, outDataType=0)
        return [x], [y]

    return single(build)


@case()
def best_class() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 9]), graph.tensor("y", [1], "int64")
        axis = graph.tensor("axis", [], "int32", data=1)
        graph.op("ARG_MAX", [x, axis], [y], "ArgMaxOptions", outputType=4)
        return [x], [y]

    return single(build)


@case(output={"read": "top1", "tensor": "values"})
def best_three() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, k = graph.tensor("x", [1, 9]), graph.tensor("k", [], "int32", data=3)
        values, indices = graph.tensor("values", [1, 3]), graph.tensor("indices", [1, 3], "int32")
        graph.op("TOPK_V2", [x, k], [values, indices], "TopKV2Options")
        return [x], [values, indices]

    return single(build)


@case(limits=(0, 4))
def gathered() -> bytes:
    """Indices into a table: nothing of a picture."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        words, table = graph.tensor("words", [1, 6], "int32"), graph.tensor("table", [5, 3], data=weights(5, 3))
        y = graph.tensor("y", [1, 6, 3])
        graph.op("GATHER", [table, words], [y], "GatherOptions", axis=0)
        return [words], [y]

    return single(build)


@case(limits=(0, 4))
def embedded() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        words, table = graph.tensor("words", [6], "int32"), graph.tensor("table", [5, 3], data=weights(5, 3))
        y = graph.tensor("y", [6, 3])
        graph.op("EMBEDDING_LOOKUP", [words, table], [y])
        return [words], [y]

    return single(build)


@case()
def a_choice() -> bytes:
    """Control flow: two subgraphs, of which one is executed."""
    model = FlatModel()
    graph = model.graph()
    flag, x, y = graph.tensor("flag", [1], "bool"), graph.tensor("x", [1, 4]), graph.tensor("y", [1, 4])
    graph.op("IF", [flag, x], [y], "IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2)
    graph.ends([flag, x], [y])
    for name in ("EXP", "NEG"):
        branch = model.graph(name)
        a, b = branch.tensor("a", [1, 4]), branch.tensor("b", [1, 4])
        branch.op(name, [a], [b])
        branch.ends([a], [b])
    return model.finish()


# --- quantized --------------------------------------------------------------------------------------------------------


@case(quantization="int8", output="topk")
def add_int8() -> bytes:
    return added([1, 8], "int8", scale=0.05, zero=3)


@case(quantization="uint8", output="scores")
def add_uint8() -> bytes:
    return added([1, 8], "uint8", scale=0.05, zero=120)


@case(quantization="int16x8", output="top1")
def add_int16() -> bytes:
    return added([1, 8], "int16", scale=0.001)


def quantized_dense(
    activations: str, kind: str, *, bias: str, scale: float, version: int, out_scale: float, per_row: bool = False
) -> bytes:
    top = 7 if kind == "int4" else 127
    w_scale = list(np.linspace(0.01, 0.03, 8)) if per_row else 0.02

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        zero = 128 if activations == "uint8" else 0
        x = graph.tensor("x", [1, 32], activations, scale=scale, zero=zero)
        low = 0 if kind == "uint8" else -top
        data = whole(8, 32, low=low, high=255 if kind == "uint8" else top)
        w = graph.tensor("w", [8, 32], kind, data=data, scale=w_scale, zero=128 if kind == "uint8" else 0)
        b_scale = [scale * each for each in w_scale] if isinstance(w_scale, list) else scale * w_scale
        b = graph.tensor("b", [8], bias, data=whole(8, low=-50, high=50), scale=b_scale)
        y = graph.tensor("y", [1, 8], activations, scale=out_scale, zero=zero)
        graph.op("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", version=version)
        return [x], [y]

    return single(build)


@case(quantization="int8", xnnpack=True, output="topk")
def dense_int8() -> bytes:
    return quantized_dense("int8", "int8", bias="int32", scale=0.05, version=4, out_scale=0.2)


@case(quantization="int8", output="raw")
def dense_int8_per_row() -> bytes:
    return quantized_dense("int8", "int8", bias="int32", scale=0.05, version=12, out_scale=0.2, per_row=True)


@case(quantization="uint8", output="label")
def dense_uint8() -> bytes:
    return quantized_dense("uint8", "uint8", bias="int32", scale=0.05, version=1, out_scale=0.5)


@case(quantization="int16x8")
def dense_int16x8() -> bytes:
    return quantized_dense("int16", "int8", bias="int64", scale=0.001, version=7, out_scale=0.002)


@case(quantization="int8x4")
def dense_int8x4() -> bytes:
    return quantized_dense("int8", "int4", bias="int32", scale=0.05, version=10, out_scale=0.02)


@case(quantization="int8", xnnpack=True)
def conv_int8_per_channel() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        scales = [0.01, 0.02, 0.03, 0.04]
        x = graph.tensor("image", [1, 6, 6, 3], "int8", scale=1 / 255, zero=-128)
        w = graph.tensor("w", [4, 3, 3, 3], "int8", data=whole(4, 3, 3, 3), scale=scales)
        b = graph.tensor("b", [4], "int32", data=[5, -5, 9, 0], scale=[each / 255 for each in scales])
        y = graph.tensor("y", [1, 6, 6, 4], "int8", scale=0.2, zero=4)
        graph.op("CONV_2D", [x, w, b], [y], "Conv2DOptions", version=3, strideH=1, strideW=1, padding=0)
        return [x], [y]

    return single(build)


@case()
def float_to_int8() -> bytes:
    """Floats come in, whole numbers go out."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 16]), graph.tensor("y", [1, 16], "int8", scale=0.01, zero=7)
        graph.op("QUANTIZE", [x], [y])
        return [x], [y]

    return single(build)


@case(quantization="int8")
def int8_to_float() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 16], "int8", scale=0.01, zero=7), graph.tensor("y", [1, 16])
        graph.op("DEQUANTIZE", [x], [y], version=2)
        return [x], [y]

    return single(build)


# --- only weights are quantized ---------------------------------------------------------------------------------------


def compressed(kind: str, *, explicit: bool, version: int, scales: Any, columns: int = 64) -> bytes:
    """Dense layers on floats whose weights are stored otherwise; `explicit`: an operator makes floats of them."""
    top = {"int4": 7, "int8": 127}.get(kind, 1)

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, columns]), graph.tensor("y", [1, 8])
        data = weights(8, columns) if kind == "float16" else whole(8, columns, low=-top, high=top)
        more = {} if kind == "float16" else {"scale": scales}
        stored = graph.tensor("stored", [8, columns], kind, data=data, **more)
        w = stored
        if explicit:
            w = graph.tensor("w", [8, columns])
            graph.op("DEQUANTIZE", [stored], [w], version=6 if kind == "int4" else 3)
        graph.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", version=version)
        return [x], [y]

    return single(build)


@case(quantization="dynamic_int8", output="topk")
def dynamic_int8() -> bytes:
    return compressed("int8", explicit=False, version=3, scales=0.01)


@case(quantization="dynamic_int8")
def dynamic_int8_per_row() -> bytes:
    return compressed("int8", explicit=False, version=12, scales=list(np.linspace(0.005, 0.02, 8)))


@case(quantization="dynamic_int4")
def dynamic_int4() -> bytes:
    return compressed("int4", explicit=False, version=12, scales=list(np.linspace(0.05, 0.2, 8)))


@case(quantization="weights_int8")
def weights_int8() -> bytes:
    return compressed("int8", explicit=True, version=1, scales=0.01)


@case(quantization="weights_int4")
def weights_int4() -> bytes:
    return compressed("int4", explicit=True, version=1, scales=list(np.linspace(0.05, 0.2, 8)))


@case(quantization="float16", xnnpack=True)
def weights_float16() -> bytes:
    return compressed("float16", explicit=True, version=1, scales=None)


@case(quantization="dynamic_int8")
def dynamic_conv() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x = graph.tensor("image", [1, 6, 6, 8])
        more = {"data": whole(4, 3, 3, 8), "scale": [0.01, 0.02, 0.03, 0.04]}
        return [x], [convolution(graph, x, [1, 6, 6, 8], "int8", **more)]

    return single(build)


@case(quantization="blockwise_int4", not_on_arm=True)
def blockwise_int4() -> bytes:
    """A scale for each 32 numbers of a row of weights."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 64]), graph.tensor("y", [1, 8])
        scales = graph.tensor("scales", [8, 2], "float16", data=weights(8, 2, low=0.05, high=0.2))
        w = graph.tensor("w", [8, 64], "int4", data=whole(8, 64, low=-7, high=7), blocks=(scales, 32))
        graph.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", version=12)
        return [x], [y]

    return single(build)


@case(quantization="mixed")
def whole_then_float() -> bytes:
    """An int8 layer, then one of floats."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x = graph.tensor("x", [1, 32], "int8", scale=0.05)
        w = graph.tensor("w", [8, 32], "int8", data=whole(8, 32), scale=0.02)
        middle = graph.tensor("middle", [1, 8], "int8", scale=0.2)
        real, v, y = (
            graph.tensor("real", [1, 8]),
            graph.tensor("v", [5, 8], data=weights(5, 8)),
            graph.tensor("y", [1, 5]),
        )
        graph.op("FULLY_CONNECTED", [x, w, -1], [middle], "FullyConnectedOptions", version=4)
        graph.op("DEQUANTIZE", [middle], [real], version=2)
        graph.op("FULLY_CONNECTED", [real, v, -1], [y], "FullyConnectedOptions")
        return [x], [y]

    return single(build)


# --- state ------------------------------------------------------------------------------------------------------------


@case(stateful=True)
def recurrent() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 16]), graph.tensor("y", [1, 10])
        w, r = graph.tensor("w", [10, 16], data=weights(10, 16)), graph.tensor("r", [10, 10], data=weights(10, 10))
        b, state = graph.tensor("b", [10], data=weights(10)), graph.tensor("state", [1, 10], variable=True)
        graph.op("RNN", [x, w, r, b, state], [y], "RNNOptions", fusedActivationFunction=4)
        return [x], [y]

    return single(build)


@case(stateful=True)
def filtered() -> bytes:
    """SVDF: a memory of the last inputs."""

    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 8]), graph.tensor("y", [1, 4])
        w, t = graph.tensor("w", [4, 8], data=weights(4, 8)), graph.tensor("t", [4, 6], data=weights(4, 6))
        state = graph.tensor("state", [1, 24], variable=True)
        graph.op("SVDF", [x, w, t, -1, state], [y], "SVDFOptions", rank=1)
        return [x], [y]

    return single(build)


def counting(model: FlatModel, graph: Graph) -> tuple[int, int]:
    """x, and a total of all x so far, which is a resource and no tensor."""
    begin = model.graph("begin")
    for number, where in enumerate((begin, graph)):
        handle = where.tensor("handle", [1], "resource")
        if number == 1:
            where.op("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
        where.op("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName="total")
        if number == 0:
            zero = where.tensor("zero", [1, 4], data=np.zeros((1, 4)))
            where.op("ASSIGN_VARIABLE", [handle, zero], [], "AssignVariableOptions")
            where.ends([], [])
    x, before, total = (graph.tensor(name, [1, 4]) for name in ("x", "before", "total"))
    graph.op("READ_VARIABLE", [handle], [before], "ReadVariableOptions")
    graph.op("ADD", [before, x], [total], "AddOptions")
    graph.op("ASSIGN_VARIABLE", [handle, total], [], "AssignVariableOptions")
    return x, total


@case(stateful=True)
def total_of_all() -> bytes:
    model = FlatModel()
    graph = model.graph()
    x, total = counting(model, graph)
    graph.ends([x], [total])
    model.sign("serving_default", {"x": x}, {"total": total})
    return model.finish()


# --- what cannot run --------------------------------------------------------------------------------------------------


@case(problem="output 'places' has no fixed size")
def unknown_size() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 4], "bool"), graph.tensor("places", [0, 2], "int64", open_shape=[-1, 2])
        graph.op("WHERE", [x], [y])
        return [x], [y]

    return single(build)


@case(problem="input 'text' is of type STRING, which cannot be fed or read")
def text_input() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("text", [1], "string"), graph.tensor("y", [1], "string")
        size = graph.tensor("size", [1], "int32", data=[1])
        graph.op("RESHAPE", [x, size], [y], "ReshapeOptions", newShape=np.array([1], np.int32))
        return [x], [y]

    return single(build)


@case(problem="input 'x' is of type COMPLEX64, which cannot be fed or read")
def complex_numbers() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 4], "complex64"), graph.tensor("y", [1, 4])
        graph.op("REAL", [x], [y])
        return [x], [y]

    return single(build)


@case(problem="its tensors cannot be allocated")
def unknown_operator() -> bytes:
    def build(graph: Graph) -> tuple[list[int], list[int]]:
        x, y = graph.tensor("x", [1, 4]), graph.tensor("y", [1, 4])
        graph.op("NobodyKnowsThis", [x], [y], custom=b"\0")
        return [x], [y]

    return single(build)
