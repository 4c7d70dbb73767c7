"""Rewrite adapted layers of a shared graph as a frozen layer and a low-rank branch, where that is cheaper.

In `y = x (W + B A)` the weight depends on the inputs, so no runtime can pack it in advance. In `y = x W + (x A) B` it
can, at the cost of one more feature map. Large weights on small maps gain, small weights on large maps lose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from ..lora import adding_is_cheaper

_GEOMETRY = ("strides", "pads", "dilations", "auto_pad")


@dataclass(frozen=True)
class _Site:
    """A layer that reads W + B A: `sum` computes it, `between` reshapes or transposes it for the layer."""

    layer: NodeProto
    sum: NodeProto
    between: NodeProto
    base: NDArray[np.float32]

    @property
    def output(self) -> str:
        """Name of the layer's output."""
        return str(self.layer.output[0])

    def rows(self, sizes: dict[str, list[int]]) -> int:
        """Return the number of positions in one picture at which the layer is computed."""
        kept = sizes[self.output]
        return math.prod(kept[2:] if self.layer.op_type == "Conv" else kept[1:-1])


def add_low_rank_branches(proto: onnx.ModelProto) -> int:
    """Replace layers of `proto`, in place, and return their number.

    Args:
        proto: A graph that computes W + B A as `Gemm(B, A, W)`.
    """
    sizes = _sizes(proto)
    replaced: dict[str, list[NodeProto]] = {}
    dropped: set[str] = set()
    for site in _sites(proto.graph):
        out, fan_in = site.base.shape[0], site.base[0].size
        channels = site.base.shape[1]
        if site.output in sizes and adding_is_cheaper(site.rows(sizes), out, channels, fan_in):
            replaced[site.output] = _thin(site, proto.graph)
            dropped |= {str(site.sum.output[0]), str(site.between.output[0])}
    kept = [node for node in proto.graph.node if node.output[0] not in dropped]
    nodes = [new for node in kept for new in replaced.get(node.output[0], [node])]
    # Copies: `del` frees the nodes of the graph, which the list only refers to.
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)
    _forget_unused(proto.graph)
    return len(replaced)


def _sites(graph: onnx.GraphProto) -> Iterator[_Site]:
    """Yield the layers that are the only readers of their W + B A."""
    makers = {name: node for node in graph.node for name in node.output}
    values = {item.name: item for item in graph.initializer}
    inputs = {item.name for item in graph.input}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    for layer in graph.node:
        between = makers.get(layer.input[1]) if layer.op_type in ("Conv", "MatMul") else None
        total = makers.get(between.input[0]) if between is not None else None
        if total is None or between is None or not _is_sum(total, inputs):
            continue
        # Another reader would still need the sum, so nothing would be saved.
        if any(readers[node.output[0]] > 1 for node in (between, total)):
            continue
        base = _base(layer, total, makers, values)
        if base is not None and between.op_type == ("Reshape" if layer.op_type == "Conv" else "Transpose"):
            yield _Site(layer, total, between, base)


def _is_sum(node: NodeProto, inputs: set[str]) -> bool:
    """Return whether a node computes W + B A with B and A from the graph's inputs."""
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    return (
        node.op_type == "Gemm"
        and len(node.input) == 3
        and set(node.input[:2]) <= inputs
        and (plain | _attributes(node)).items() == plain.items()
    )


def _base(
    layer: NodeProto, total: NodeProto, makers: dict[str, NodeProto], values: dict[str, onnx.TensorProto]
) -> NDArray[np.float32] | None:
    """Return W in its layer's shape, or None if it is not constant or the convolution is grouped."""
    name = total.input[2]
    source = makers[name].input[0] if name in makers and makers[name].op_type == "Reshape" else name
    if source not in values:
        return None
    base = numpy_helper.to_array(values[source])
    if layer.op_type == "MatMul":
        return base if base.ndim == 2 else None
    kept = _attributes(layer)
    if kept.get("group", 1) != 1 or "kernel_shape" not in kept:
        return None
    return base.reshape(base.shape[0], -1, *kept["kernel_shape"])


def _thin(site: _Site, graph: onnx.GraphProto) -> list[NodeProto]:
    """Return the nodes that compute x W + (x A) B, and add their constants to the graph."""
    x, y = site.layer.input[0], site.output
    b, a = site.sum.input[:2]
    made = {key: f"{y}.{key}" for key in ("W", "a", "b", "frozen", "hidden", "thin")}
    weight = site.base if site.layer.op_type == "Conv" else site.base.T
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(weight), made["W"]))
    add = helper.make_node("Add", [made["frozen"], made["thin"]], [y])
    if site.layer.op_type == "MatMul":
        return [
            helper.make_node("MatMul", [x, made["W"]], [made["frozen"]]),
            helper.make_node("Transpose", [a], [made["a"]], perm=[1, 0]),
            helper.make_node("Transpose", [b], [made["b"]], perm=[1, 0]),
            helper.make_node("MatMul", [x, made["a"]], [made["hidden"]]),
            helper.make_node("MatMul", [made["hidden"], made["b"]], [made["thin"]]),
            add,
        ]
    kept = _attributes(site.layer)
    shapes = {"a": [-1, *site.base.shape[1:]], "b": [site.base.shape[0], -1, 1, 1]}
    for key, shape in shapes.items():
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{made[key]}.shape"))
    geometry = {key: kept[key] for key in _GEOMETRY if key in kept}
    return [
        helper.make_node("Conv", [x, made["W"], *site.layer.input[2:]], [made["frozen"]], **kept),
        helper.make_node("Reshape", [a, f"{made['a']}.shape"], [made["a"]]),
        helper.make_node("Reshape", [b, f"{made['b']}.shape"], [made["b"]]),
        helper.make_node("Conv", [x, made["a"]], [made["hidden"]], **geometry),
        helper.make_node("Conv", [made["hidden"], made["b"]], [made["thin"]]),
        add,
    ]


def _sizes(proto: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the shape of every value whose axes but the batch are known."""
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    found = {item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in inferred.value_info}
    return {name: dims for name, dims in found.items() if all(dims[1:])}


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def _forget_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and constants that nothing reads any more."""
    outputs = {item.name for item in graph.output}
    used = {name for node in graph.node for name in node.input} | outputs
    for node in [node for node in graph.node if not used & set(node.output)]:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input} | outputs
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
