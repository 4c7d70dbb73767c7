"""fp16: half the bytes; runtimes without its arithmetic compute in fp32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..layers import find_layers
from ..model_file import write_model
from ..search import Search
from .precision import Conversion, Precision

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16

# Operators that gain nothing from fp16, or whose arguments must be fp32.
_KEPT = ("Cast", "Resize")


class Fp16(Precision):
    """Weights and layers in fp16."""

    name = "fp16"
    tolerance = 0.02

    def convert(self, conversion: Conversion) -> Search | None:
        """Write the file in fp16."""
        write_model(to_fp16(onnx.load(conversion.fp32)), conversion.file)
        return None


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its layers in fp16; normalisation, the head and what follows it stay in fp32.

    Runtimes without fp16 arithmetic, such as onnxruntime on a CPU, compute in fp32 from fp16 weights.
    """
    model = onnx.shape_inference.infer_shapes(model)
    graph, types = model.graph, _types(model.graph)
    inside = {name for layer in find_layers(graph) for name in layer.nodes}
    made = {name for node in graph.node if node.name in inside and _computes(node, types) for name in node.output}
    halves, singles = _Casts("half", HALF), _Casts("single", FLOAT)
    nodes: list[onnx.NodeProto] = []
    constants = {item.name: item for item in graph.initializer}
    for node in graph.node:
        turned = not made.isdisjoint(node.output)
        for position, name in enumerate(node.input):
            if types.get(name) != FLOAT or (name in made) == turned:
                continue
            casts = halves if turned else singles
            node.input[position] = casts.of(name, nodes, constants.get(name))
        nodes.append(node)
    _replace(graph, nodes, halves.constants)
    return model


class _Casts:
    """Casts of values to another type, one for each value."""

    def __init__(self, suffix: str, to: int) -> None:
        self.suffix, self.to = suffix, to
        self.constants: list[onnx.TensorProto] = []
        self._made: set[str] = set()

    def of(self, name: str, nodes: list[onnx.NodeProto], constant: onnx.TensorProto | None) -> str:
        """Return the name of a value in the other type; add the cast the first time."""
        new = f"{name}.{self.suffix}"
        if new not in self._made:
            self._made.add(new)
            if constant is None:
                nodes.append(helper.make_node("Cast", [name], [new], name=f"cast.{new}", to=self.to))
            else:
                with np.errstate(over="ignore"):  # the gate refuses what became infinite
                    self.constants.append(numpy_helper.from_array(numpy_helper.to_array(constant).astype("f2"), new))
        return new


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    values = (*graph.input, *graph.value_info, *graph.output)
    return {item.name: item.type.tensor_type.elem_type for item in values} | {
        item.name: item.data_type for item in graph.initializer
    }


def _computes(node: onnx.NodeProto, types: dict[str, int]) -> bool:
    floats = [name for name in node.input if types.get(name) == FLOAT]
    return bool(floats) and node.op_type not in _KEPT and all(types.get(name) == FLOAT for name in node.output)


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], halves: list[onnx.TensorProto]) -> None:
    """Replace nodes, add constants, and drop constants without a reader and types that no longer hold."""
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [item for item in graph.initializer if item.name in read] + halves
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]


PRECISION = Fp16()
