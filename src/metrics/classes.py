"""Figures of one class a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_average_precision,
    binary_f1_score,
    binary_recall,
)

from .rows import Rows
from .weighted import SMALLEST, Array, Figures, average, mean, ranked, ratio, total


@dataclass(frozen=True)
class Outcomes:
    """How many images a two-way decision got right and wrong.

    Attributes:
        found: Positive images that were decided positive.
        missed: Positive images that were let pass.
        alarms: Other images that were decided positive.
        passed: Other images that were let pass.
    """

    found: int
    missed: int
    alarms: int
    passed: int


def point(predictions: Rows, positive: str | None) -> Figures:
    """Return accuracy, balanced accuracy, F1, AUROC, average precision and loss of one split.

    Accuracy is over images; balanced accuracy is the mean recall of the classes that occur. F1, AUROC and average
    precision are those of `positive`, or without one the mean over classes, each against the rest: F1 over classes
    that occur or were decided, the other two over classes that occur. Loss is the cross-entropy in nats.

    Raises:
        ValueError: `positive` is no class.
    """
    counted = _counted(predictions, positive)
    targets, decided = torch.from_numpy(predictions.target_indices), torch.from_numpy(predictions.predicted_indices)
    scores = torch.from_numpy(predictions.probabilities)
    present = sorted(set(targets.tolist()))
    used = {*present, *decided.tolist()}
    several = [index for index in counted if index in present and len(present) > 1]
    return {
        "accuracy": float(binary_accuracy((decided == targets).int(), torch.ones_like(targets))),
        "balanced_accuracy": average([binary_recall(*_one(decided, targets, index)) for index in present]),
        "f1": average([binary_f1_score(*_one(decided, targets, index)) for index in counted if index in used]),
        "auroc": average([binary_auroc(scores[:, index], (targets == index).int()) for index in several]),
        "average_precision": average(
            [binary_average_precision(scores[:, index], (targets == index).int()) for index in several]
        ),
        "loss": float(_surprise(predictions).mean()),
    }


def resampled(predictions: Rows, positive: str | None, weights: Array) -> dict[str, Array]:
    """Compute what `point` does for every row of `weights` (S x N), S values each, NaN where undefined."""
    counted = _counted(predictions, positive)
    is_target, is_decided = predictions.target_matrix, predictions.predicted_matrix
    support, decided, hits = weights @ is_target, weights @ is_decided, weights @ (is_target & is_decided)
    areas = [ranked(predictions.probabilities[:, index], is_target[:, index], weights) for index in counted]
    images = weights.sum(axis=1)
    return {
        "accuracy": hits.sum(axis=1) / images,
        "balanced_accuracy": mean(ratio(hits, support)),
        "f1": mean(ratio(2 * hits, support + decided)[:, counted]),
        "auroc": mean(np.stack([auroc for auroc, _ in areas], axis=1)),
        "average_precision": mean(np.stack([precision for _, precision in areas], axis=1)),
        "loss": total(weights, _surprise(predictions)) / images,
    }


def confusion(predictions: Rows) -> NDArray[np.int64]:
    """Count images by target (rows) and decision (columns), K x K."""
    size = len(predictions.classes)
    cells = predictions.target_indices * size + predictions.predicted_indices
    return np.bincount(cells, minlength=size * size).astype(np.int64).reshape(size, size)


def outcomes(predictions: Rows, positive: str) -> Outcomes:
    """Count what was found, missed, falsely alarmed and passed, `positive` against the rest."""
    index = predictions.classes.index(positive)
    is_target, is_decided = predictions.target_matrix[:, index], predictions.predicted_matrix[:, index]
    found, called = int((is_target & is_decided).sum()), int(is_decided.sum())
    missed, alarms = int(is_target.sum()) - found, called - found
    return Outcomes(found, missed, alarms, len(predictions) - found - missed - alarms)


def _counted(predictions: Rows, positive: str | None) -> list[int]:
    if positive is None:
        return list(range(len(predictions.classes)))
    if positive not in predictions.classes:
        raise ValueError(f"the positive class {positive!r} is not among {', '.join(predictions.classes)}")
    return [predictions.classes.index(positive)]


def _one(decided: Tensor, targets: Tensor, index: int) -> tuple[Tensor, Tensor]:
    return (decided == index).int(), (targets == index).int()


def _surprise(predictions: Rows) -> Array:
    chosen = predictions.probabilities[np.arange(len(predictions)), predictions.target_indices]
    return -np.log(np.maximum(chosen, SMALLEST))
