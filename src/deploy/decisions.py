"""What a decision is right or changed by, for every kind of task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..spec import JOINT, TaskSpec

Samples = Sequence[tuple[Path, str]]


def targets_of(samples: Samples, task: TaskSpec, split: str) -> NDArray[Any]:
    """Return what the decisions should be, in their shape: class indices, labels that are there, or values.

    Raises:
        ValueError: There is no picture, or a class is unknown.
    """
    if not samples:
        raise ValueError(f"no pictures in split {split!r}: the gate needs the data that the model was trained on")
    if task.kind == "regression":
        return np.array([float(truth) for _, truth in samples])
    several = task.kind == "multilabel"
    names = [(truth.split(JOINT) if truth else []) if several else [truth] for _, truth in samples]
    unknown = sorted({name for each in names for name in each} - set(task.classes))
    if unknown:
        raise ValueError(f"unknown classes {', '.join(unknown)}: the model knows {', '.join(task.classes)}")
    if several:
        return np.array([[int(name in each) for name in task.classes] for each in names])
    return np.array([task.classes.index(each[0]) for each in names])


def changed(before: NDArray[Any], after: NDArray[Any], task: TaskSpec, most: float) -> NDArray[np.bool_]:
    """Tell the pictures with another decision from the others; a value is another when its logit is `most` apart."""
    if task.kind == "regression":
        return np.asarray(np.abs(before - after) > most * task.scale)
    differs = before != after
    return np.asarray(differs if differs.ndim == 1 else differs.any(axis=1))


def has_score(samples: Samples, task: TaskSpec) -> bool:
    """Tell whether pictures have an accuracy: R2 needs two values that differ."""
    return task.kind != "regression" or len({float(truth) for _, truth in samples}) > 1


def accuracy(decided: NDArray[Any], targets: NDArray[Any], task: TaskSpec) -> float:
    """Return the part of the decisions that are right; R2 with regression.

    Raises:
        ValueError: All values of a regression are the same.
    """
    if task.kind != "regression":
        return float((decided == targets).mean())
    spread = float(((targets - targets.mean()) ** 2).mean())
    if not spread:
        raise ValueError("all values are the same, so the gate cannot tell a good file from a bad one: add images")
    return 1 - float(((decided - targets) ** 2).mean()) / spread


def recall(decided: NDArray[Any], targets: NDArray[Any], task: TaskSpec) -> float | None:
    """Return the recall of the positive class, or the mean over the classes or labels that some images have.

    None with regression, and where no image has the positive class.
    """
    if task.kind == "regression":
        return None
    classes = np.arange(len(task.classes))
    there, said = (
        each.astype(bool) if task.kind == "multilabel" else each[:, None] == classes for each in (targets, decided)
    )
    counted = classes if task.positive is None else [task.classes.index(task.positive)]
    found = [float(said[there[:, index], index].mean()) for index in counted if there[:, index].any()]
    return float(np.mean(found)) if found else None


def auroc(probabilities: NDArray[np.float32], targets: NDArray[Any], task: TaskSpec) -> float | None:
    """Return the area under the ROC curve of the positive class, or the mean over the classes that some images have.

    None where that is undefined, as with regression.
    """
    if task.kind == "regression" or not np.isfinite(probabilities).all():
        return None
    there = targets if task.kind == "multilabel" else targets[:, None] == np.arange(len(task.classes))
    counted = range(len(task.classes)) if task.positive is None else [task.classes.index(task.positive)]
    areas = [
        roc_auc_score(there[:, index], probabilities[:, index]) for index in counted if 0 < there[:, index].mean() < 1
    ]
    return float(np.mean(areas)) if areas else None


def named(decision: Any, task: TaskSpec) -> str | float:
    """Return a decision as people read it."""
    if task.kind == "regression":
        return float(decision)
    if task.kind == "multilabel":
        return JOINT.join(name for name, present in zip(task.classes, decision, strict=True) if present)
    return task.classes[int(decision)]
