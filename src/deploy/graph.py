"""From a merged backbone to one ONNX file that goes from raw pixels to a decision."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from src.backbones.outputs import interpret
from src.backbones.pixels import average_views, normalise
from src.deploy.model_file import write_model
from src.edge.runtime import INPUT, output_names
from src.spec import ImageSpec, TaskSpec

# Names of the graph's own constants that are matrices, but no layer of the model.
CAMERA_CONSTANTS: frozenset[str] = frozenset()


class _Camera(nn.Module):
    """The backbone between raw pixels and a decision."""

    def __init__(self, model: nn.Module, image: ImageSpec, task: TaskSpec) -> None:
        super().__init__()
        self.model, self.image, self.task = model, image, task

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        logits = average_views(self.model, normalise(pixels, self.image), self.task.views)
        probabilities, decision = interpret(logits, self.task)
        return (logits, decision) if self.task.kind == "regression" else (logits, probabilities, decision)


def export_onnx(model: nn.Module, image: ImageSpec, task: TaskSpec, path: Path, opset: int = 18) -> None:
    """Write `model` as one ONNX file; the same model gives the same bytes.

    The input `image` is N x H x W x 3 of uint8, with any N. The outputs are `logits`, `probabilities` (both
    N x classes) and `decision`: the index of the class (N), which labels are there (N x classes, 0 or 1), or with
    regression, which has no probabilities, the value (N). The specs lie in the model's metadata.

    Args:
        model: A merged timm model on the CPU, in eval mode.
        image: The input's size and scale.
        task: The views that the graph averages, and the names of the outputs.
        path: The file to write; it appears complete or not at all.
        opset: Version of the operators.

    Raises:
        ValueError: The model cannot be written as ONNX, or not with this opset or any batch size.
    """
    assert not model.training
    proto = _traced(_Camera(model, image, task).eval(), image, output_names(task), opset)
    _check_promises(proto, opset)
    specs = {"image": image.to_dict(), "task": task.to_dict()}
    onnx.helper.set_model_props(proto, {key: json.dumps(value, sort_keys=True) for key, value in specs.items()})
    write_model(proto, path)


def _traced(camera: nn.Module, image: ImageSpec, outputs: Sequence[str], opset: int) -> onnx.ModelProto:
    # Two pictures, because torch.export takes sizes 0 and 1 for constants.
    pixels = torch.zeros(2, *image.size, 3, dtype=torch.uint8)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                camera,
                (pixels,),
                input_names=[INPUT],
                output_names=outputs,
                opset_version=opset,
                dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"torch cannot write this backbone as ONNX, choose another one: {error}") from error
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own progress and warnings off the command's output."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_promises(proto: onnx.ModelProto, opset: int) -> None:
    """Read back what the exporter may leave out without a word."""
    written = {item.domain: item.version for item in proto.opset_import}[""]
    if written != opset:
        raise ValueError(f"torch wrote opset {written} where {opset} was asked for: ask for opset {written}")
    taken, given = (item.type.tensor_type.shape.dim for item in (proto.graph.input[0], proto.graph.output[0]))
    if not taken[0].dim_param or taken[0].dim_param != given[0].dim_param:
        raise ValueError("this backbone is bound to one batch size: choose another one")
