"""Export a merged backbone as one ONNX file from raw pixels to a decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from timm.utils.model import reparameterize_model
from torch import nn

from ..choices import require_profile
from ..edge.session import INPUT
from ..kinds import find_kind
from ..spec import ImageSpec, TaskSpec
from .deploy_model import GRAPH_FILTERS, DeployModel, FloatDeployModel, MatMulDeployModel, ResizedDeployModel
from .model_file import write_model
from .resize_nodes import prepend_resize


@dataclass(frozen=True)
class ExportOptions:
    """Options of the graph.

    Attributes:
        profile: Its input; one of `src.choices.PROFILES`.
        opset: ONNX opset.
        taken: Height and width of the camera's pictures, for profile `u8-matmul`.
    """

    profile: str = "u8"
    opset: int = 18
    taken: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse unknown profiles and opsets."""
        require_profile(self.profile)
        if isinstance(self.opset, bool) or not isinstance(self.opset, int):
            raise ValueError(f"opset must be a whole number such as 18, not {self.opset!r}")


def export_onnx(
    model: nn.Module,
    image: ImageSpec,
    task: TaskSpec,
    path: Path,
    options: ExportOptions | None = None,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Write `model` as one ONNX file, reparameterised where timm can; the same model gives the same bytes.

    The input `image` takes any number of pictures: N x H x W x 3 of uint8, of the network's size (profile `u8`), of any
    size (`u8-resize`) or of the camera's (`u8-matmul`), or N x channels x H x W of float32, normalised (`float`). The
    outputs are `logits`, `probabilities` (both N x classes) and `decision`: the index of the class (N), which labels
    are there (N x classes, 0 or 1), or the value (N), which has no probabilities. The specs and where
    the model comes from lie in its metadata.

    Args:
        model: A merged timm model on the CPU, in eval mode; it is not changed.
        image: The input's size and scale.
        task: The views that the graph averages, and the names of the outputs.
        path: The file to write; it appears complete or not at all.
        options: Profile and opset; `ExportOptions()` when None.
        provenance: Where the model comes from, as JSON-ready values without paths.

    Raises:
        ValueError: The model cannot be written as ONNX, or not with this profile, opset or any batch size.
    """
    assert not model.training
    options = options or ExportOptions()
    network = wrap_model(reparameterize_model(model), image, task, options)
    proto = trace(network, (network.example(),), task, options.opset)
    finish(proto, image, path, options, {"task": task.to_dict(), "provenance": provenance or {}})


def wrap_model(model: nn.Module, image: ImageSpec, task: TaskSpec, options: ExportOptions) -> DeployModel:
    """Return the network from pixels to a decision for the profile.

    Raises:
        ValueError: No graph has the resize filter of this backbone, or `u8-matmul` has pictures of several sizes.
    """
    if options.profile in ("u8-resize", "u8-matmul") and image.interpolation not in GRAPH_FILTERS:
        filters = " or ".join(GRAPH_FILTERS)
        raise ValueError(f"a graph resizes {filters}, and this backbone takes {image.interpolation}: use profile=u8")
    if options.profile == "u8-matmul":
        if options.taken is None:
            raise ValueError("u8-matmul is bound to one size, and the pictures have several: use profile=u8-resize")
        return MatMulDeployModel(model, image, task, options.taken).eval()
    kinds = {"float": FloatDeployModel, "u8-resize": ResizedDeployModel}
    return kinds.get(options.profile, DeployModel)(model, image, task).eval()


def trace(
    network: nn.Module,
    example: tuple[Any, ...],
    task: TaskSpec,
    opset: int,
    further: Mapping[str, dict[int, Any]] | None = None,
) -> onnx.ModelProto:
    """Return the graph of a network in eval mode, for any number of pictures.

    Args:
        network: It maps `example` to the outputs of its task; fused attention is switched off in place.
        example: Pictures and, where there are `further` inputs, the tuple of their values.
        task: What the outputs mean.
        opset: Version of the operators.
        further: Names of the inputs beside the pictures, with their dynamic axes.

    Raises:
        ValueError: torch cannot write it as ONNX.
    """
    for module in network.modules():
        # torch 2.14 exports fused attention of four dimensions only.
        if "fused_attn" in module.__dict__:
            module.__dict__["fused_attn"] = False
    sizes: list[Any] = [{0: torch.export.Dim("batch")}]
    if further:
        sizes.append(tuple(further.values()))
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                network,
                example,
                input_names=[INPUT, *(further or ())],
                output_names=find_kind(task.kind).outputs,
                opset_version=opset,
                dynamic_shapes=tuple(sizes),
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, torch.onnx.errors.UnsupportedOperatorError) as error:
        raise ValueError(f"torch cannot write this backbone as ONNX, choose another one: {_reason(error)}") from error
    assert program is not None
    return program.model_proto


def _reason(error: BaseException) -> str:
    """Return the cause of an exporter's error, without the advice and stack traces around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def finish(proto: onnx.ModelProto, image: ImageSpec, path: Path, options: ExportOptions, held: dict[str, Any]) -> None:
    """Add the resize where the profile asks for it, and write the graph with its specs.

    Args:
        proto: The graph; it is changed.
        image: The input's size and scale.
        path: The file to write; it appears complete or not at all.
        options: Profile and opset.
        held: Metadata beside `image`, JSON-ready.

    Raises:
        ValueError: The exporter left out the opset or the free batch size, or the graph is no valid model.
    """
    _check_promises(proto, options.opset)
    if options.profile == "u8-resize":
        prepend_resize(proto, image)
    # The specs are in the model too, so that a manifest of another model is noticed.
    held = {"image": image.to_dict(), **held}
    onnx.helper.set_model_props(proto, {key: json.dumps(value, sort_keys=True) for key, value in held.items()})
    write_model(proto, path)


def _check_promises(proto: onnx.ModelProto, opset: int) -> None:
    """Check opset and free batch size, which the exporter may change without a warning."""
    written = {item.domain: item.version for item in proto.opset_import}[""]
    if written != opset:
        raise ValueError(f"torch wrote opset {written} where {opset} was asked for: ask for opset {written}")
    taken, returned = (item.type.tensor_type.shape.dim for item in (proto.graph.input[0], proto.graph.output[0]))
    if not taken[0].dim_param or taken[0].dim_param != returned[0].dim_param:
        raise ValueError("this backbone is bound to one batch size: choose another one")
