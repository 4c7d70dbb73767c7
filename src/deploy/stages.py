"""The stages from the trained model to the shipped file, each run on the same image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..allocator import release_freed_memory
from ..backbones.pixels import average_views, normalise
from ..edge.lines import ActiveAdapter
from ..edge.preprocess import load, resize
from ..edge.profile import FITS, Fit
from ..edge.session import Outputs, open_session, run_pictures
from ..kinds import find_kind
from ..spec import ImageSpec, TaskSpec

BATCH, THREADS = 16, 2  # images in one run of a file; each view of a picture counts
SLICE = 2  # images in one run of torch, which needs more memory than onnxruntime
PIXELS = 4_000_000  # in one run of a graph that resizes: two pictures of a Full-HD camera

Pictures = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Name, such as `merged` or `int8`.
        run: Maps pictures to the three outputs.
        fit: Maps decoded pictures to those that `run` takes.
    """

    name: str
    run: Callable[[Pictures], Outputs]
    fit: Fit = resize


def torch_stage(name: str, model: nn.Module, image: ImageSpec, task: TaskSpec) -> Stage:
    """Return a stage that runs a model in torch, on the CPU, in fp32 and eval mode."""
    assert not model.training

    def sliced(images: Tensor) -> Tensor:
        return torch.cat([model(part) for part in torch.split(images, SLICE)])

    def run(pixels: Pictures) -> Outputs:
        with torch.inference_mode():
            parts = (normalise(torch.from_numpy(np.stack(part)), image) for part in in_parts(pixels, len(task.views)))
            logits = torch.cat([average_views(sliced, images, task.views) for images in parts])
            probabilities, decision = find_kind(task.kind).interpret(logits, task)
        release_freed_memory()  # onnxruntime does not reuse torch's freed blocks
        return logits.numpy(), probabilities.numpy(), decision.numpy()

    return Stage(name, run)


def onnx_stage(
    name: str, model: bytes, profile: str = "u8", views: int = 1, adapter: ActiveAdapter | None = None
) -> Stage:
    """Return a stage that runs an ONNX file, on one picture alone and on batches, as cameras do both."""
    session = open_session(model, THREADS)
    release_freed_memory()  # loading frees several times the size of the model

    def run(pixels: Pictures) -> Outputs:
        rest = [run_pictures(session, part, adapter) for part in in_parts(pixels[1:], views)]
        # The single picture last: a run of another size frees memory, which the next stage needs.
        return joined((run_pictures(session, pixels[:1], adapter), *rest))

    return Stage(name, run, FITS[profile])


def run_stages(stages: Sequence[Stage], paths: Sequence[Path], image: ImageSpec) -> list[Outputs]:
    """Run every stage on the same files, and return the outputs of each.

    Raises:
        ImageError: A picture is gone or broken; the message names it.
    """
    # Each picture is decoded once for all stages of one fit, and few at a time.
    fits = {stage.fit for stage in stages}
    parts = [[stage.run(fitted[stage.fit]) for stage in stages] for fitted in _loaded(paths, image, fits)]
    return [joined(part) for part in zip(*parts, strict=True)]


def in_parts(pictures: Pictures, views: int) -> Iterator[Pictures]:
    """Yield the pictures in batches of at least two, limited by memory.

    Args:
        pictures: Any number, each as the network or the graph takes it.
        views: Number of views of each picture.
    """
    largest = max((picture.size // 3 for picture in pictures), default=1)
    size = max(2, min(BATCH // views, PIXELS // largest))
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


def _loaded(paths: Sequence[Path], image: ImageSpec, fits: Iterable[Fit]) -> Iterator[dict[Fit, list[NDArray[Any]]]]:
    """Yield the pictures as the stages take them, `BATCH` at a time, or fewer if they are large."""
    held: dict[Fit, list[NDArray[Any]]] = {fit: [] for fit in fits}
    taken = pixels = 0
    for path in paths:
        for fit, pictures in held.items():
            pictures.append(load(path, image, fit))
        taken, pixels = taken + 1, pixels + max(pictures[-1].size // 3 for pictures in held.values())
        if taken == BATCH or pixels > 2 * PIXELS:
            yield held
            held, taken, pixels = {fit: [] for fit in held}, 0, 0
    if taken:
        yield held


def joined(parts: Iterable[Outputs]) -> Outputs:
    """Concatenate the outputs of all parts."""
    logits, probabilities, decision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return logits, probabilities, decision
