"""What the decisions of a stage are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..edge.session import Outputs
from ..kinds import Decided, find_kind
from ..metrics import compute_one, why_undefined
from ..spec import TaskSpec

Samples = Sequence[tuple[Path, str]]


def targets_of(samples: Samples, task: TaskSpec, split: str) -> NDArray[Any]:
    """Return what the decisions should be, in their form: class indices, labels that are there, or values.

    Raises:
        ValueError: There is no picture, or a class is unknown.
    """
    if not samples:
        raise ValueError(f"no pictures in split {split!r}: the gate needs the data that the model was trained on")
    try:
        return find_kind(task.kind).encode([truth for _, truth in samples], task.classes)
    except ValueError as error:
        raise ValueError(f"the truth {error}") from error


def judged(outputs: Outputs, targets: NDArray[Any], task: TaskSpec) -> Decided:
    """Return the rows that a stage's figures are computed from."""
    return Decided(task.kind, task.classes, outputs[1].astype(np.float64), targets, outputs[2])


def why_no_score(samples: Samples, task: TaskSpec) -> str | None:
    """Return why the score that a file must keep does not exist on these pictures, whatever is decided; else None."""
    targets = find_kind(task.kind).encode([truth for _, truth in samples], task.classes)
    rows = Decided(task.kind, task.classes, np.zeros((len(targets), len(task.classes))), targets, targets)
    return None if compute_one(find_kind(task.kind).gate_score, rows, task.positive) is not None else _why(rows, task)


def gate_score(rows: Decided, task: TaskSpec) -> float:
    """Return the score that a file must keep, `Kind.gate_score`; NaN where the outputs are.

    Raises:
        ValueError: It is undefined on these pictures.
    """
    score = compute_one(find_kind(task.kind).gate_score, rows, task.positive)
    if score is None:
        raise ValueError(f"{_why(rows, task)}, so the gate cannot tell a good file from a bad one: add images")
    return score


def _why(rows: Decided, task: TaskSpec) -> str:
    name = find_kind(task.kind).gate_score
    return why_undefined(rows, task.positive, {name: None})[name]


def recall(rows: Decided, task: TaskSpec) -> float | None:
    """Return the recall of what must not pass; None where there are no classes, or no image has the positive one."""
    return compute_one("recall", rows, task.positive) if find_kind(task.kind).has_classes else None


def auroc(rows: Decided, task: TaskSpec) -> float | None:
    """Return the area under the ROC curve; None where there are no classes, it is undefined, or something is NaN."""
    ranks = find_kind(task.kind).has_classes and bool(np.isfinite(rows.probabilities).all())
    return compute_one("auroc", rows, task.positive) if ranks else None
