"""One graph for many lines: the frozen base, with adapters and head as optional inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.func import functional_call

from ..lora import Inputs, expose_inputs
from ..spec import ImageSpec, TaskSpec
from .deploy_model import DeployModel
from .graph import ExportOptions, finish, trace, wrap_model
from .low_rank_branch import add_low_rank_branches

FILE_VERSION = 1  # of the adapter files, as numbered by this project
_RANK = 4  # of the traced graph; its axes become dynamic


class _Lines(nn.Module):
    """A deploy model whose named parameters are further inputs."""

    def __init__(self, camera: DeployModel, names: Sequence[str]) -> None:
        super().__init__()
        self.camera, self.names = camera, [f"model.{name}" for name in names]

    def forward(self, pixels: Tensor, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs with these values in place of its parameters."""
        outputs: tuple[Tensor, ...] = functional_call(
            self.camera, dict(zip(self.names, values, strict=True)), (pixels,)
        )
        return outputs


def export_base(
    model: nn.Module,
    lines: Mapping[str, tuple[Inputs, TaskSpec]],
    image: ImageSpec,
    path: Path,
    options: ExportOptions | None = None,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Write the base that `lines` share as one ONNX file; the same lines give the same bytes.

    Its pictures and outputs are those of `export_onnx`. What a line learnt are further inputs with names such as
    `blocks.0.conv.weight_adapter.A`, which default to zeros, those of the head too. Ranks may differ between lines, and
    numbers of classes where those of `lines` do.

    Args:
        model: The model of any line, adapters unmerged, on the CPU, in eval mode; its adapters are removed.
        lines: What each line learnt, and its task; all have the same kind and views.
        image: The input's size and scale.
        path: The file to write; it appears complete or not at all.
        options: Profile and opset; `ExportOptions()` when None.
        provenance: Where the base comes from, as JSON-ready values without paths.

    Raises:
        ValueError: As `export_onnx`.
    """
    assert not model.training
    options = options or ExportOptions()
    model = model.to(memory_format=torch.contiguous_format)
    learnt, (task, *_) = zip(*lines.values(), strict=True)
    names = expose_inputs(model, learnt, _RANK)  # in all layers that any line adapts
    free = _class_axes(learnt)
    parameters = dict(model.named_parameters())
    camera = wrap_model(model, image, task, options)
    values = tuple(parameters[name].detach().clone() for name in names)
    further = {name: free.get(name, {}) for name in names}
    proto = trace(_Lines(camera, names).eval(), (camera.example(), values), task, options.opset, further)
    add_low_rank_branches(proto)
    _open_inputs(proto, names, set(learnt[0].head))
    tasks = {name: task.to_dict() for name, (_, task) in lines.items()}
    finish(proto, image, path, options, {"lines": tasks, "provenance": provenance or {}})


def write_line(line: Inputs, path: Path) -> None:
    """Write what a line learnt as an `.onnx_adapter` of onnxruntime, for the graph of `export_base`."""
    values = {name: tensor.cpu().float().contiguous().numpy() for name, tensor in (line.factors | line.head).items()}
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(FILE_VERSION)
    file.set_model_version(FILE_VERSION)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()})
    file.export_adapter(str(path))


def _class_axes(lines: Sequence[Inputs]) -> dict[str, dict[int, torch.export.Dim]]:
    """Return the axes of the head's parameters whose size differs between lines: those of the classes."""
    classes = torch.export.Dim("classes")
    found = {}
    for name in lines[0].head:
        sizes = zip(*(line.head[name].shape for line in lines), strict=True)
        found[name] = {axis: classes for axis, each in enumerate(sizes) if len(set(each)) > 1}
    return found


def _open_inputs(proto: onnx.ModelProto, names: Sequence[str], head: set[str]) -> None:
    """Give every further input zeros as default, and the factors a dynamic rank."""
    for item in proto.graph.input:
        if item.name not in names:
            continue
        dims = item.type.tensor_type.shape.dim
        if item.name not in head:
            stem, _, key = item.name.rpartition(".")
            dims[int(key == "B")].dim_param = f"rank of {stem}"
        zeros = np.zeros([dim.dim_value or 1 for dim in dims], np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(zeros, item.name))
    del proto.graph.value_info[:]  # shapes with the rank of the trace
