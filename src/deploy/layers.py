"""Find the layers of an ONNX graph that may be quantised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from .deploy_model import GRAPH_CONSTANTS

WEIGHTED = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class OnnxLayer:
    """A node with weights, and the nodes up to the next one.

    Attributes:
        name: Name of the weight in the model where the graph keeps it, else of the node.
        op: Operator of the node with the weights.
        nodes: Names of its nodes, the one with the weights first.
    """

    name: str
    op: str
    nodes: tuple[str, ...]


def find_layers(graph: onnx.GraphProto) -> list[OnnxLayer]:
    """Return the layers in the order of the graph, without resize, normalisation, the head and what follows it."""
    weights = {item.name for item in graph.initializer} - GRAPH_CONSTANTS
    groups: list[list[onnx.NodeProto]] = []
    for node in graph.node:
        if _is_weighted(node, weights):
            groups.append([node])
        elif groups:  # an activation or a pooling stays with the layer before it
            groups[-1].append(node)
    heads = _last_weighted(graph, weights)  # small, and its rounding moves the logits most
    return [
        OnnxLayer(_label(first), first.op_type, tuple(node.name for node in (first, *rest)))
        for first, *rest in groups
        if first.name not in heads
    ]


def has_attention(graph: onnx.GraphProto) -> bool:
    """Return whether some matrix product has no constant factor, as that of queries and keys."""
    constant = {item.name for item in graph.initializer}
    return any(node.op_type == "MatMul" and constant.isdisjoint(node.input) for node in graph.node)


def _is_weighted(node: onnx.NodeProto, weights: Iterable[str]) -> bool:
    return node.op_type in WEIGHTED and node.input[1] in weights


def _label(node: onnx.NodeProto) -> str:
    weight = node.input[1]
    return weight.removeprefix("model.").removesuffix(".weight") if weight.startswith("model.") else node.name


def _last_weighted(graph: onnx.GraphProto, weights: Iterable[str]) -> set[str]:
    """Return the names of the last nodes with weights before the outputs: the classifiers."""
    maker = {name: node for node in graph.node for name in node.output}
    found, seen, waiting = set(), set(), [item.name for item in graph.output]
    while waiting:
        node = maker.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if _is_weighted(node, weights):
            found.add(node.name)
        else:
            waiting.extend(node.input)
    return found
