"""The file that ships, run by OpenVINO too: another runtime must decide as ours does."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..edge.profile import FITS
from ..edge.session import INPUT, Outputs
from ..package import install_line
from .stages import Pictures, Stage, in_parts, joined

NAME = "openvino"


def require_openvino(profile: str) -> None:
    """Say before any work what OpenVINO cannot do.

    Raises:
        ValueError: It is not installed, or would run this profile wrongly.
    """
    if profile == "u8-resize":
        raise ValueError(
            "OpenVINO leaves out the antialiasing of profile=u8-resize without a word: use profile=u8 or u8-matmul"
        )
    _core()


def openvino_stage(model: bytes, profile: str, views: int = 1) -> Stage:
    """Return what OpenVINO makes of an ONNX file, on the CPU, in the precision of the file.

    Raises:
        ValueError: OpenVINO is not installed, or cannot load the file.
    """
    core = _core()
    try:
        # without the hint it computes fp32 files in bf16 where the processor can
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise ValueError(f"OpenVINO cannot load the model: {error}") from error

    def run(pixels: Pictures) -> Outputs:
        alike = len({picture.shape for picture in pixels}) == 1
        batches = in_parts(pixels, views) if alike else [[picture] for picture in pixels]
        return joined(_named(compiled({INPUT: np.stack(batch)})) for batch in batches)

    return Stage(NAME, run, FITS[profile])


def _named(found: Any) -> Outputs:
    values = {name: value for port, value in found.items() for name in port.get_names()}
    return values["logits"], values.get("probabilities", values["logits"][:, :0]), values["decision"]


def _core() -> Any:
    try:
        return importlib.import_module("openvino").Core()
    except ModuleNotFoundError as error:
        raise ValueError(f"OpenVINO is not installed: {install_line('openvino')}") from error
