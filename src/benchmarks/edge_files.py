"""What suite `edge` measures: pictures as a camera takes them, and each model as the bundles that a run would ship."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

from ..backbones import create_backbone
from ..deploy.bundle import write_bundle
from ..deploy.gate import Verdict
from ..deploy.golden_samples import choose_golden
from ..deploy.graph import export_onnx
from ..deploy.layers import find_layers
from ..deploy.limits import Limits
from ..deploy.model_file import write_model
from ..deploy.parity import judge
from ..deploy.precisions.fp16 import to_fp16
from ..deploy.quantise import quantisable, quantiser
from ..deploy.stages import onnx_stage, run_stages
from ..edge.golden import GOLDEN
from ..edge.manifest import MODEL, SOLE, Line, Manifest
from ..edge.preprocess import load
from ..kinds.classification import Classification
from ..lora import inject, merge
from ..spec import ImageSpec, TaskSpec
from .methods import ALPHA, RANK
from .roofline import operations
from .trainee import CLASSES, draw_zeros

PRECISIONS = ("fp32", "fp16", "int8")  # that are measured
PICTURE = (1280, 960)  # width and height, as many cameras give them
TASK = TaskSpec(Classification.name, tuple(f"class{number}" for number in range(CLASSES)))


@dataclass(frozen=True)
class Bundle:
    """One bundle.

    Attributes:
        method: `base` is the backbone's own export, `merged` that of the backbone with an adapter merged into it.
        precision: Number format.
        folder: Where it is.
        operations: Multiplications and additions for one picture.
    """

    method: str
    precision: str
    folder: Path
    operations: int

    @property
    def name(self) -> str:
        """Method and precision."""
        return f"{self.method} {self.precision}"

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL


def write_photographs(folder: Path, count: int) -> list[Path]:
    """Write JPEG pictures of smooth shapes under a sensor's noise, about as large as photographs."""
    folder.mkdir()
    paths = [folder / f"{number:03}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        random = np.random.default_rng(number)
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        shapes = np.asarray(Image.fromarray(coarse).resize(PICTURE, Image.Resampling.BICUBIC))
        noisy = shapes + random.normal(0, 4, (*shapes.shape[:2], 1))
        encoded = io.BytesIO()  # Pillow says nothing of a full disk
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=90)
        path.write_bytes(encoded.getvalue())
    return paths


def write_bundles(name: str, image_size: int, pictures: Sequence[Path], folder: Path) -> list[Bundle]:
    """Export a model of random weights, and the same with an adapter merged into it, the latter in every precision.

    Args:
        name: timm name.
        image_size: Height and width of the network's input.
        pictures: Files to measure the ranges of int8 on, and to choose the golden inputs from.
        folder: Gets a folder for each bundle.

    Raises:
        ValueError: The model cannot be exported, or has no layer for int8.
    """
    files = {("base", "fp32"): folder / "base-fp32.onnx"} | {
        ("merged", precision): folder / f"merged-{precision}.onnx" for precision in PRECISIONS
    }
    for method in ("base", "merged"):
        model, image = _model(name, image_size, adapted=method == "merged")
        export_onnx(model, image, TASK, files[method, "fp32"])
    fp32 = onnx.load(files["merged", "fp32"])
    write_model(_int8(fp32, pictures, image), files["merged", "int8"])
    write_model(to_fp16(fp32), files["merged", "fp16"])
    count = operations(fp32)
    return [
        Bundle(method, precision, _bundle(file, files[method, "fp32"], precision, pictures, image), count)
        for (method, precision), file in files.items()
    ]


def _model(name: str, image_size: int, adapted: bool) -> tuple[nn.Module, ImageSpec]:
    generator = torch.manual_seed(0)  # also of the adapter's own start
    model, image = create_backbone(name, "none", CLASSES, (image_size, image_size))
    draw_zeros(model, generator)
    if adapted:
        inject(model, RANK, ALPHA, "all")
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(0.01 * torch.randn(parameter.shape, generator=generator))
        merge(model)
    return model.eval(), image


def _int8(fp32: onnx.ModelProto, pictures: Sequence[Path], image: ImageSpec) -> onnx.ModelProto:
    """Quantise every layer that the gate's code takes; none is left out, as no accuracy is judged."""
    layers = find_layers(fp32.graph)
    chosen = quantisable(layers, fp32)
    if not chosen:
        raise ValueError("this backbone has no layer that int8 makes smaller")
    _, quantise = quantiser(fp32, layers, [load(path, image)[None] for path in pictures])
    return quantise(chosen)


def _bundle(file: Path, fp32: Path, precision: str, pictures: Sequence[Path], image: ImageSpec) -> Path:
    """Make a bundle of a file, compared with the fp32 one; of random weights any difference is allowed."""
    samples = [(path, TASK.classes[0]) for path in pictures]
    stages = [onnx_stage(path.stem, path.read_bytes()) for path in (fp32, file)]
    expected, found = run_stages(stages, pictures, image)
    parity = judge(samples, TASK, expected, found, precision, "none", Limits(None, None, 1.0))
    golden = choose_golden(stages[-1].run, pictures, image, TASK, precision, "u8")
    verdict = Verdict(precision, (parity,))
    folder = file.with_suffix("")
    line = Line(TASK, {}, verdict.summary())
    manifest = Manifest({}, image, {SOLE: line}, precision, "u8", {}, verdict.summary())
    write_bundle(folder, {MODEL: file.read_bytes(), GOLDEN: golden.to_bytes()}, verdict.to_dict(), manifest)
    return folder
