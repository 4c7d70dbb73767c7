"""The stages from the trained model to the file that ships, each run on the same image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from src.backbones.outputs import interpret
from src.backbones.pixels import average_views, normalise
from src.edge.lines import ActiveAdapter
from src.edge.preprocess import load, resize
from src.edge.profile import FITS, Fit
from src.edge.session import Outputs, open_session, run_pictures
from src.spec import ImageSpec, TaskSpec

BATCH, THREADS = 16, 2

Pictures = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Such as `merged` or `int8`.
        run: From pictures to the three outputs.
        fit: What makes them of decoded ones.
    """

    name: str
    run: Callable[[Pictures], Outputs]
    fit: Fit = resize


def torch_stage(name: str, model: nn.Module, image: ImageSpec, task: TaskSpec) -> Stage:
    """Return the evaluation of a model in torch, on the CPU, in fp32 and eval mode."""
    assert not model.training

    def run(pixels: Pictures) -> Outputs:
        with torch.inference_mode():
            logits = average_views(model, normalise(torch.from_numpy(np.stack(pixels)), image), task.views)
            probabilities, decision = interpret(logits, task)
            return logits.numpy(), probabilities.numpy(), decision.numpy()

    return Stage(name, run)


def onnx_stage(name: str, model: bytes, profile: str = "u8", adapter: ActiveAdapter | None = None) -> Stage:
    """Return an ONNX file's own outputs, from one picture alone and then the rest, as cameras run it both ways."""
    session = open_session(model, THREADS)

    def run(pixels: Pictures) -> Outputs:
        return _joined(run_pictures(session, part, adapter) for part in (pixels[:1], pixels[1:]) if len(part))

    return Stage(name, run, FITS[profile])


def run_stages(stages: Sequence[Stage], paths: Sequence[Path], image: ImageSpec) -> list[Outputs]:
    """Run every stage on the same files, and return the outputs of each.

    Raises:
        ImageError: A picture is gone or broken; the message names it.
    """
    fits = {stage.fit for stage in stages}
    parts = []
    for start in range(0, len(paths), BATCH):
        chosen = paths[start : start + BATCH]
        fitted = {fit: [load(path, image, fit) for path in chosen] for fit in fits}
        parts.append([stage.run(fitted[stage.fit]) for stage in stages])
    return [_joined(part) for part in zip(*parts, strict=True)]


def _joined(parts: Iterable[Outputs]) -> Outputs:
    logits, probabilities, decision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return logits, probabilities, decision
