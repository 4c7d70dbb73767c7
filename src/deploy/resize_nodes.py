"""Prepend the resize and the crop of the evaluation pipeline to a graph, for pictures of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..edge.session import INPUT
from ..spec import ImageSpec

_MODES = {"bilinear": "linear", "bicubic": "cubic"}
_RESIZED = "camera.resized"


def prepend_resize(model: onnx.ModelProto, image: ImageSpec) -> None:
    """Change the input of `model` from resized pixels (N x H x W x 3, float32) to uint8 of any height and width.

    Sizes are rounded as in `src.edge.preprocess`, in float64: a side that differs by one pixel shifts the crop.
    """
    graph = _Prelude()
    tall, wide = (math.floor(side / image.crop_pct) for side in image.size)
    height, width = (graph.double(graph.add("Shape", [INPUT], start=i, end=i + 1)) for i in (1, 2))
    if image.crop_mode == "squash":
        lengths = [graph.float64(tall), graph.float64(wide)]
    elif tall == wide:
        short = graph.add("Min", [height, width])
        lengths = [
            graph.add("Floor", [graph.add("Div", [graph.add("Mul", [graph.float64(tall), side]), short])])
            for side in (height, width)
        ]
    else:
        parts = [graph.add("Div", [side, graph.float64(n)]) for side, n in ((height, tall), (width, wide))]
        ratio = graph.add("Min", parts)
        lengths = [graph.add("Round", [graph.add("Div", [side, ratio])]) for side in (height, width)]
    half = graph.float64(2)
    starts = [
        graph.add("Round", [graph.add("Div", [graph.add("Sub", [length, graph.float64(side)]), half])])
        for length, side in zip(lengths, image.size, strict=True)
    ]
    first = graph.whole(starts)
    ends = graph.add("Add", [first, graph.int64(list(image.size))])
    x = graph.add("Cast", [graph.add("Transpose", [INPUT], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT)
    whole = graph.whole(lengths)
    sides_of = [graph.add("Slice", [whole, graph.int64([i]), graph.int64([i + 1])]) for i in (0, 1)]
    taken = graph.add("Shape", [INPUT], start=1, end=2)
    # Rows first, then columns, each rounded to whole levels, as Pillow did in training.
    for side in ([taken, sides_of[1]], sides_of):
        x = graph.resize(x, side, _MODES[image.interpolation])
    x = graph.add("Slice", [x, first, ends, graph.int64([2, 3])])
    graph.add("Transpose", [x], _RESIZED, perm=[0, 2, 3, 1])
    graph.prepend(model)


class _Prelude:
    """Nodes and constants that come before a graph."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"camera.{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def resize(self, x: str, lengths: list[str], mode: str) -> str:
        """Resize N x 3 x H x W, rounded to whole levels."""
        # Sizes of all four axes: onnxruntime 1.32 does not adapt `axes` when it moves a transpose.
        sides = self.add("Concat", [self.add("Shape", [INPUT], end=1), self.int64([3]), *lengths], axis=0)
        x = self.add(
            "Resize", [x, "", "", sides], mode=mode, antialias=1,
            coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.5,
        )  # fmt: skip
        return self.add("Clip", [self.add("Round", [x]), self.float32(0), self.float32(255)])

    def float32(self, value: float) -> str:
        return self._constant(np.array(value, np.float32))

    def int64(self, value: list[int]) -> str:
        return self._constant(np.array(value, np.int64))

    def float64(self, value: float) -> str:
        return self._constant(np.array([value], np.float64))

    def double(self, value: str) -> str:
        return self.add("Cast", [value], to=TensorProto.DOUBLE)

    def whole(self, values: list[str]) -> str:
        """Concatenate numbers to one tensor of int64."""
        return self.add("Cast", [self.add("Concat", values, axis=0)], to=TensorProto.INT64)

    def prepend(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        for node in graph.node:
            node.input[:] = [_RESIZED if name == INPUT else name for name in node.input]
        nodes = [*self._nodes, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self._constants)
        batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
        taken = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [batch, "height", "width", 3])
        graph.input[0].CopyFrom(taken)

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"camera.constant.{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name
