"""What a processor could do at best: onnxruntime's own matrix product, and the operations that a graph asks for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..deploy.model_file import IR_VERSION
from ..edge.session import load_model

SIDE = 1024
OPERATIONS = 2 * SIDE**3  # of one product; a multiplication and an addition are two


def product(precision: str, threads: int) -> Callable[[], object]:
    """Return what multiplies two matrices of `SIDE` once, the second a constant as weights are.

    Args:
        precision: `fp32` (MatMul) or `int8` (MatMulInteger, unsigned by signed, as the layers of an int8 file).
        threads: CPU threads.
    """
    random, integers = np.random.default_rng(0), precision == "int8"
    left = random.integers(0, 256, (SIDE, SIDE), np.uint8) if integers else random.random((SIDE, SIDE), np.float32)
    right = random.integers(-127, 128, (SIDE, SIDE), np.int8) if integers else random.random((SIDE, SIDE), np.float32)
    taken, given = (TensorProto.UINT8, TensorProto.INT32) if integers else (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger" if integers else "MatMul", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", taken, left.shape)],
        [helper.make_tensor_value_info("product", given, left.shape)],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=IR_VERSION)
    session = load_model(model.SerializeToString(), threads)
    return lambda: session.run(None, {"left": left})


def operations(model: onnx.ModelProto) -> int:
    """Count the multiplications and additions of a graph's Conv, Gemm and MatMul for one picture.

    Raises:
        ValueError: A shape cannot be inferred, so nothing can be counted.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del fixed.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    } | {value.name: list(value.dims) for value in graph.initializer}
    return sum(_of_node(node, shapes) for node in graph.node)


def _of_node(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return 0
    left, right, made = (shapes.get(name, [0]) for name in (node.input[0], node.input[1], node.output[0]))
    summed = math.prod(right[1:]) if node.op_type == "Conv" else left[-1]
    if node.op_type == "Gemm" and any(item.name == "transA" and item.i for item in node.attribute):
        summed = left[0]
    count = 2 * summed * math.prod(made)
    if not count:
        raise ValueError(f"the shapes of {node.name} cannot be inferred, so its operations cannot be counted")
    return count
