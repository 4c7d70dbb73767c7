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

from src.backbones.outputs import interpret
from src.backbones.pixels import average_views, normalise
from src.edge.preprocess import Pixels, load
from src.edge.runtime import open_session, run_session
from src.spec import JOINT, ImageSpec, TaskSpec

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
        changed_decisions: Pictures with another decision than before; with regression those whose value differs by more
            than a logit may.
        accuracy_torch: Part of the model's decisions that are right, 0 to 1; None with regression.
        accuracy_onnx: The same of the bundle on the same pictures.
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
    accuracy_torch: float | None
    accuracy_onnx: float | None
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
        samples: Path of every picture and its truth: class name, labels joined by `JOINT`, or value.
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
    targets: NDArray[Any],
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
        changed_decisions=int(_changed(stages, task, limits).sum()),
        accuracy_torch=_accuracy(stages.before, targets, task),
        accuracy_onnx=_accuracy(stages.after, targets, task),
        worst=_worst(paths, task, difference.max(axis=1), stages, _changed(stages, task, limits)),
        limits=limits,
    )


@dataclass(frozen=True)
class _Stages:
    """What the model (`expected`, `before`) and the ONNX file (`logits`, `after`) say about the same pictures."""

    expected: NDArray[np.float32]
    before: NDArray[Any]
    logits: NDArray[np.float32]
    after: NDArray[Any]

    @classmethod
    def run(cls, model: nn.Module, image: ImageSpec, task: TaskSpec, onnx_path: Path, paths: list[Path]) -> Self:
        session = open_session(onnx_path.read_bytes(), THREADS)
        parts = []
        for start in range(0, len(paths), BATCH):
            pixels = np.stack([load(path, image) for path in paths[start : start + BATCH]])
            parts.append((*_torch_outputs(model, pixels, image, task), *_onnx_outputs(session, pixels)))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _targets(samples: Samples, task: TaskSpec) -> NDArray[Any]:
    """Return what the decisions should be, in the shape of the decisions."""
    if task.kind == "regression":
        return np.array([float(truth) for _, truth in samples])
    several = task.kind == "multilabel"
    names = [truth.split(JOINT) if several and truth else [] if several else [truth] for _, truth in samples]
    unknown = sorted({name for each in names for name in each} - set(task.classes))
    if unknown:
        raise ValueError(f"unknown classes {', '.join(unknown)}: the model knows {', '.join(task.classes)}")
    if several:
        return np.array([[name in each for name in task.classes] for each in names])
    return np.array([task.classes.index(each[0]) for each in names])


def _changed(stages: _Stages, task: TaskSpec, limits: Limits) -> NDArray[np.bool_]:
    """Tell the pictures with another decision from the others."""
    if task.kind == "regression":
        most = limits.relative_logit_diff * float(np.abs(stages.expected).max()) * task.scale
        return np.asarray(np.abs(stages.before - stages.after) > most)
    differs = stages.before != stages.after
    return np.asarray(differs if differs.ndim == 1 else differs.any(axis=1))


def _accuracy(decided: NDArray[Any], targets: NDArray[Any], task: TaskSpec) -> float | None:
    return None if task.kind == "regression" else float((decided == targets).mean())


def _torch_outputs(
    model: nn.Module, pixels: Pixels, image: ImageSpec, task: TaskSpec
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    with torch.inference_mode():
        logits = average_views(model, normalise(torch.from_numpy(pixels), image), task.views)
        decided = interpret(logits, task)[1]
    return np.asarray(logits.numpy(), dtype=np.float32), decided.numpy()


def _onnx_outputs(session: InferenceSession, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return logits and decisions, from one picture alone and then the rest, as cameras run it both ways."""
    runs = [run_session(session, part) for part in (pixels[:1], pixels[1:]) if len(part)]
    return np.concatenate([logits for logits, _, _ in runs]), np.concatenate([decision for _, _, decision in runs])


def _worst(
    paths: list[Path],
    task: TaskSpec,
    difference: NDArray[np.float32],
    stages: _Stages,
    changed: NDArray[np.bool_],
) -> tuple[dict[str, Any], ...]:
    """Name the pictures to look at: changed decisions first, then the largest differences."""
    order = sorted(range(len(paths)), key=lambda i: (not changed[i], -difference[i]))[:WORST]
    return tuple(
        {
            "path": str(paths[i]),
            "max_abs_logit_diff": float(difference[i]),
            "torch": _named(stages.before[i], task),
            "onnx": _named(stages.after[i], task),
        }
        for i in order
    )


def _named(decision: Any, task: TaskSpec) -> str | float:
    if task.kind == "regression":
        return float(decision)
    if task.kind == "multilabel":
        return JOINT.join(name for name, present in zip(task.classes, decision, strict=True) if present)
    return task.classes[int(decision)]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
