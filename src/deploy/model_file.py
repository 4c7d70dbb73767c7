"""Write an ONNX file that holds no trace of this machine and that old runtimes load."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..atomic import write_bytes

# IR 8 is the newest that onnxruntime 1.15 to 1.17 load; opset 18 needs no newer one.
IR_VERSION = 8


def write_model(proto: onnx.ModelProto, path: Path) -> None:
    """Write `proto` as one file, whole or not at all; see `encode_model`."""
    write_bytes(path, encode_model(proto))


def encode_model(proto: onnx.ModelProto) -> bytes:
    """Return the content of a file of `proto`; the same model gives the same bytes.

    Stack traces with paths of this machine, and operator domains without a node, are removed from `proto`.

    Raises:
        ValueError: It is not a valid model.
    """
    _strip_graph(proto.graph)
    used = {node.domain for node in proto.graph.node}
    kept = sorted((item for item in proto.opset_import if item.domain in used), key=lambda item: item.domain)
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    proto.ir_version = max(IR_VERSION, onnx.helper.find_min_ir_version_for(kept))
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"the graph of this backbone is broken, choose another one: {error}") from error
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _strip_graph(graph: onnx.GraphProto) -> None:
    graph.ClearField("metadata_props")
    graph.ClearField("doc_string")
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _strip_graph(inner)
