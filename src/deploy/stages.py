"""The stages from the trained model to the file that ships, each run on the same image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from src.backbones.outputs import interpret
from src.backbones.pixels import average_views, normalise
from src.edge.preprocess import load
from src.edge.runtime import Outputs, open_session, run_session
from src.spec import ImageSpec, TaskSpec

BATCH, THREADS = 16, 2

Pictures = NDArray[Any]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Such as `merged` or `int8`.
        run: From a batch of resized pictures to the three outputs.
    """

    name: str
    run: Callable[[Pictures], Outputs]


def torch_stage(name: str, model: nn.Module, image: ImageSpec, task: TaskSpec) -> Stage:
    """Return the evaluation of a model in torch, on the CPU, in fp32 and eval mode."""
    assert not model.training

    def run(pixels: Pictures) -> Outputs:
        with torch.inference_mode():
            logits = average_views(model, normalise(torch.from_numpy(pixels), image), task.views)
            probabilities, decision = interpret(logits, task)
            return logits.numpy(), probabilities.numpy(), decision.numpy()

    return Stage(name, run)


def onnx_stage(name: str, model: bytes) -> Stage:
    """Return an ONNX file's own outputs, from one picture alone and then the rest, as cameras run it both ways."""
    session = open_session(model, THREADS)

    def run(pixels: Pictures) -> Outputs:
        return _joined(run_session(session, part) for part in (pixels[:1], pixels[1:]) if len(part))

    return Stage(name, run)


def run_stages(stages: Sequence[Stage], paths: Sequence[Path], image: ImageSpec) -> list[Outputs]:
    """Run every stage on the same files, and return the outputs of each.

    Raises:
        ImageError: A picture is gone or broken; the message names it.
    """
    parts = [[stage.run(batch) for stage in stages] for batch in batches(paths, image)]
    return [_joined(part) for part in zip(*parts, strict=True)]


def batches(paths: Sequence[Path], image: ImageSpec, size: int = BATCH) -> Iterator[Pictures]:
    """Yield the pictures as the camera gives them to the network, a batch at a time."""
    for start in range(0, len(paths), size):
        yield np.stack([load(path, image) for path in paths[start : start + size]])


def _joined(parts: Iterable[Outputs]) -> Outputs:
    logits, probabilities, decision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return logits, probabilities, decision
