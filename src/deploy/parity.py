"""The gate between a trained model and its bundle: the same image files, the same logits, the same decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from torch import nn

from src.backbones.pixels import average_views, normalise
from src.edge.preprocess import Pixels, load
from src.edge.runtime import open_session, run_session
from src.spec import ImageSpec, TaskSpec

BATCH, THREADS, WORST = 16, 2, 5

Samples = Sequence[tuple[Path, str]]


@dataclass(frozen=True)
class Limits:
    """What a bundle may differ from its model.

    Attributes:
        relative_logit_diff: Largest difference of a logit, as a part of the largest logit.
        changed_decisions: Pictures that may get another class.
    """

    relative_logit_diff: float = 1e-4
    changed_decisions: int = 0


@dataclass(frozen=True)
class Parity:
    """What the gate measured.

    Attributes:
        precision: Number format of the bundle.
        split: Where the pictures come from, such as `test`.
        images: Number of pictures.
        max_abs_logit_diff: Largest difference of any logit.
        mean_abs_logit_diff: Mean difference over all logits.
        logit_scale: Largest absolute logit of the model.
        changed_decisions: Pictures with another class than before.
        accuracy_torch: Accuracy of the model, 0 to 1.
        accuracy_onnx: Accuracy of the bundle on the same pictures.
        worst: The pictures with the largest differences, worst first: path, difference and both decisions.
        limits: What was allowed.
    """

    precision: str
    split: str
    images: int
    max_abs_logit_diff: float
    mean_abs_logit_diff: float
    logit_scale: float
    changed_decisions: int
    accuracy_torch: float
    accuracy_onnx: float
    worst: tuple[dict[str, Any], ...]
    limits: Limits

    @property
    def passed(self) -> bool:
        """Whether the bundle keeps its limits; a difference that is not a number does not."""
        close = self.max_abs_logit_diff <= self.limits.relative_logit_diff * self.logit_scale
        return close and self.changed_decisions <= self.limits.changed_decisions

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values; a figure that is not finite becomes null."""
        values = {"passed": self.passed} | asdict(self)
        return {key: _finite(value) for key, value in values.items()} | {
            "worst": [{key: _finite(value) for key, value in row.items()} for row in self.worst]
        }


def check_parity(
    model: nn.Module,
    image: ImageSpec,
    task: TaskSpec,
    onnx_path: Path,
    samples: Samples,
    split: str,
    precision: str = "fp32",
    limits: Limits | None = None,
) -> Parity:
    """Compare the ONNX file with its model on image files.

    Args:
        model: The model on the CPU, adapters merged or not, in fp32 and eval mode.
        image: How a picture becomes pixels.
        task: Classes and views.
        onnx_path: What `export_onnx` wrote.
        samples: Path and class name of every picture.
        split: Name of the pictures' split, for the record.
        precision: Number format of the ONNX file, for the record.
        limits: What the ONNX file may differ; `Limits()` when None.

    Raises:
        ValueError: There is no picture, one is gone or broken, a class is unknown, or a logit is not finite.
    """
    assert not model.training
    if not samples:
        raise ValueError(f"no pictures in split {split!r}: the gate needs the data that the model was trained on")
    paths, targets = [path for path, _ in samples], _targets(samples, task)
    stages = _Stages.run(model, image, task, onnx_path, paths)
    if not np.isfinite(stages.expected).all():
        raise ValueError("the model's logits are not finite, the training diverged: train with a lower learning rate")
    return _judge(paths, targets, task, stages, split, precision, limits or Limits())


def _judge(
    paths: list[Path],
    targets: NDArray[np.int64],
    task: TaskSpec,
    stages: _Stages,
    split: str,
    precision: str,
    limits: Limits,
) -> Parity:
    difference = np.abs(stages.logits - stages.expected)
    return Parity(
        precision=precision,
        split=split,
        images=len(paths),
        max_abs_logit_diff=float(difference.max()),
        mean_abs_logit_diff=float(difference.mean()),
        logit_scale=float(np.abs(stages.expected).max()),
        changed_decisions=int((stages.before != stages.after).sum()),
        accuracy_torch=float((stages.before == targets).mean()),
        accuracy_onnx=float((stages.after == targets).mean()),
        worst=_worst(paths, task, difference.max(axis=1), stages),
        limits=limits,
    )


@dataclass(frozen=True)
class _Stages:
    """What the model (`expected`) and the ONNX file (`logits`, `after`) say about the same pictures."""

    expected: NDArray[np.float32]
    logits: NDArray[np.float32]
    after: NDArray[np.int64]

    @property
    def before(self) -> NDArray[np.int64]:
        return np.asarray(self.expected.argmax(axis=1), dtype=np.int64)

    @classmethod
    def run(cls, model: nn.Module, image: ImageSpec, task: TaskSpec, onnx_path: Path, paths: list[Path]) -> Self:
        session = open_session(onnx_path.read_bytes(), THREADS)
        parts = []
        for start in range(0, len(paths), BATCH):
            pixels = np.stack([load(path, image) for path in paths[start : start + BATCH]])
            parts.append((_torch_logits(model, pixels, image, task), *_onnx_outputs(session, pixels)))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _targets(samples: Samples, task: TaskSpec) -> NDArray[np.int64]:
    unknown = sorted({label for _, label in samples} - set(task.classes))
    if unknown:
        raise ValueError(f"unknown classes {', '.join(unknown)}: the model knows {', '.join(task.classes)}")
    return np.array([task.classes.index(label) for _, label in samples])


def _torch_logits(model: nn.Module, pixels: Pixels, image: ImageSpec, task: TaskSpec) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = average_views(model, normalise(torch.from_numpy(pixels), image), task.views)
    return np.asarray(logits.numpy(), dtype=np.float32)


def _onnx_outputs(session: InferenceSession, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return logits and decisions, from one picture alone and then the rest, as cameras run it both ways."""
    runs = [run_session(session, part) for part in (pixels[:1], pixels[1:]) if len(part)]
    return np.concatenate([logits for logits, _, _ in runs]), np.concatenate([decision for _, _, decision in runs])


def _worst(
    paths: list[Path], task: TaskSpec, difference: NDArray[np.float32], stages: _Stages
) -> tuple[dict[str, Any], ...]:
    """Name the pictures to look at: changed decisions first, then the largest differences."""
    before, after = stages.before, stages.after
    order = sorted(range(len(paths)), key=lambda i: (before[i] == after[i], -difference[i]))[:WORST]
    return tuple(
        {
            "path": str(paths[i]),
            "max_abs_logit_diff": float(difference[i]),
            "torch": task.classes[before[i]],
            "onnx": task.classes[after[i]],
        }
        for i in order
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
