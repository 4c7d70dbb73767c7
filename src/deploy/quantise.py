"""Quantise an fp32 graph to int8: statically with calibrated ranges, or dynamically where it has attention."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import ExecutionOrder, GraphOptimizationLevel, InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic
from onnxruntime.quantization.calibrate import MinMaxCalibrater, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from ..allocator import release_freed_memory
from ..edge.session import INPUT
from .layers import WEIGHTED, OnnxLayer, has_attention

# Operators without weights that lose next to nothing in int8. In fp32 they would force a
# dequantisation and a quantisation between two int8 layers.
_CARRIERS = ("Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Relu")
_DYNAMIC = ("Gemm", "MatMul")

Quantise = Callable[[Sequence[OnnxLayer]], onnx.ModelProto]


def quantiser(
    model: onnx.ModelProto, layers: Sequence[OnnxLayer], pixels: Iterable[NDArray[Any]]
) -> tuple[str, Quantise]:
    """Choose how a model is quantised.

    A network with attention is quantised dynamically: activations stay in fp32 between layers, and each run computes
    their range; with static ranges a ViT loses half of its decisions. Any other network is quantised statically (QDQ),
    activations unsigned, weights signed per channel, with the minimum and maximum of the calibration pictures.

    Args:
        model: The fp32 model.
        layers: Its layers; see `find_layers`.
        pixels: Batches of the model's input for calibration.

    Returns:
        `dynamic` or `static`, and a function that returns the model with some of its layers in int8.
    """
    if has_attention(model.graph):
        return "dynamic", lambda chosen: _dynamic(model, chosen)
    ranges = _ranges(model, pixels)
    shaped = onnx.shape_inference.infer_shapes(model)
    return "static", lambda chosen: _static(shaped, chosen, ranges)


def quantisable(layers: Sequence[OnnxLayer], model: onnx.ModelProto) -> list[OnnxLayer]:
    """Return the layers that can be quantised in the way that `quantiser` chooses."""
    kinds = _DYNAMIC if has_attention(model.graph) else WEIGHTED
    return [layer for layer in layers if layer.op in kinds]


def _static(model: onnx.ModelProto, layers: Sequence[OnnxLayer], ranges: TensorsData) -> onnx.ModelProto:
    nodes = [name for layer in layers for name in layer.nodes]
    quantizer = QDQQuantizer(
        copy.deepcopy(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=[*WEIGHTED, *_CARRIERS],
        extra_options={},
    )
    with _quiet():
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    return _with_props(quantizer.model.model, model)


def _dynamic(model: onnx.ModelProto, layers: Sequence[OnnxLayer]) -> onnx.ModelProto:
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            copy.deepcopy(model),
            path,
            op_types_to_quantize=list(_DYNAMIC),
            per_channel=True,
            weight_type=QuantType.QInt8,
            # onnxruntime splits a Gemm into a product and a sum, under another name.
            nodes_to_quantize=[name for layer in layers for name in (layer.nodes[0], f"{layer.nodes[0]}_MatMul")],
        )
        return _with_props(onnx.load(path), model)


def _ranges(model: onnx.ModelProto, pixels: Iterable[NDArray[Any]]) -> TensorsData:
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        calibrator = _Calibrator(path, [*WEIGHTED, *_CARRIERS], str(Path(folder) / "augmented.onnx"))
        calibrator.augment_graph()
        calibrator.create_inference_session()
        calibrator.collect_data(_Reader(pixels))
        ranges = calibrator.compute_data()
    release_freed_memory()
    return ranges


class _Calibrator(MinMaxCalibrater):  # type: ignore[misc]
    """A calibrator that frees each layer's output as soon as its range is known.

    onnxruntime's own keeps all outputs until a run ends, and an arena between runs: 900 MB for eight views of
    EfficientNet-Lite0, where 100 MB are enough.
    """

    def create_inference_session(self) -> None:
        options = SessionOptions()
        # Fused layers would hide the outputs between them.
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = ExecutionOrder.PRIORITY_BASED
        options.enable_cpu_mem_arena = False
        providers = ["CPUExecutionProvider"]
        self.infer_session = InferenceSession(self.augmented_model_path, options, providers=providers)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: Iterable[NDArray[Any]]) -> None:
        self._pixels: Iterator[NDArray[Any]] = iter(pixels)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._pixels, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}


def _with_props(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """Copy metadata and producer of the source model, and drop inferred shapes, which onnxruntime infers itself."""
    del model.graph.value_info[:]
    onnx.helper.set_model_props(model, {item.key: item.value for item in source.metadata_props})
    model.producer_name, model.producer_version = source.producer_name, source.producer_version
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the advice of onnxruntime's tools, which they log by the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
