"""The figures of a split: train, evaluate and the report all take them from here, so they are the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

from src.report.predictions import SPLITS, Predictions

Array = NDArray[np.float64]
Figures = dict[str, float | None]
Intervals = dict[str, tuple[float, float]]

LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "f1": "F1",
}
SMALLEST = float(np.finfo(np.float32).tiny)  # keeps the log of a probability that underflowed finite
BLOCK = 2_000_000  # weights held at once by the bootstrap: 16 MB


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


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a `metrics.json`.

    Raises:
        ValueError: The file is not a JSON object.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run train or evaluate again") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} holds no JSON object: run train or evaluate again")
    return metrics


def measure(predictions: Predictions, positive: str | None) -> dict[str, Any]:
    """Return the figures of every split, as `metrics.json` holds them.

    Args:
        predictions: Rows of all splits.
        positive: The class that counts as the defect, or None for averages over classes.

    Returns:
        `{"val": figures, "test": figures, "intervals": {"val": intervals, "test": intervals}}`, one per split present.
    """
    parts = {split: predictions.of(split) for split in SPLITS if split in predictions.splits}
    figures: dict[str, Any] = {split: compute(part, positive) for split, part in parts.items()}
    return figures | {"intervals": {split: intervals(part, positive) for split, part in parts.items()}}


def compute(predictions: Predictions, positive: str | None) -> Figures:
    """Return accuracy, balanced accuracy, F1, AUROC, average precision and loss of one split.

    Accuracy is over images; balanced accuracy is the mean recall of the classes that occur. F1, AUROC and average
    precision are those of `positive`, or without one the mean over classes, each against the rest: F1 over classes
    that occur or were decided, the other two over classes that occur. Loss is the cross-entropy in nats.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.

    Returns:
        Each figure by name; None where it is undefined, as AUROC is with one class only.

    Raises:
        ValueError: There are no rows, or `positive` is no class.
    """
    counted = _counted(predictions, positive)
    targets, decided = torch.from_numpy(predictions.target_indices), torch.from_numpy(predictions.predicted_indices)
    scores = torch.from_numpy(predictions.probabilities)
    present = sorted(set(targets.tolist()))
    used = {*present, *decided.tolist()}
    ranked = [index for index in counted if index in present and len(present) > 1]
    return {
        "accuracy": float(binary_accuracy((decided == targets).int(), torch.ones_like(targets))),
        "balanced_accuracy": _average([binary_recall(*_one(decided, targets, index)) for index in present]),
        "f1": _average([binary_f1_score(*_one(decided, targets, index)) for index in counted if index in used]),
        "auroc": _average([binary_auroc(scores[:, index], (targets == index).int()) for index in ranked]),
        "average_precision": _average(
            [binary_average_precision(scores[:, index], (targets == index).int()) for index in ranked]
        ),
        "loss": float(_surprise(predictions).mean()),
    }


def intervals(predictions: Predictions, positive: str | None, samples: int = 1000, seed: int = 0) -> Intervals:
    """Return 95 % percentile bootstrap intervals of what `compute` gives, resampled over images.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Images count as independent: parts of
    one product in one split make the true interval wider. A resample that leaves a figure undefined is left out of it.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.
        samples: Number of resamples.
        seed: Seed of the resamples; the same seed gives the same intervals.

    Returns:
        Lower and upper end by name, for every figure that is defined.
    """
    counted = _counted(predictions, positive)
    blocks = [_figures(predictions, counted, weights) for weights in _resamples(len(predictions), samples, seed)]
    result: Intervals = {}
    for name, value in compute(predictions, positive).items():
        if value is not None:
            low, high = np.nanquantile(np.concatenate([block[name] for block in blocks]), (0.025, 0.975))
            result[name] = (float(low), float(high))
    return result


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """Count images by target (rows) and decision (columns), K x K."""
    size = len(predictions.classes)
    cells = predictions.target_indices * size + predictions.predicted_indices
    return np.bincount(cells, minlength=size * size).astype(np.int64).reshape(size, size)


def outcomes(predictions: Predictions, positive: str) -> Outcomes:
    """Count what was found, missed, falsely alarmed and passed, `positive` against the rest."""
    counts, index = confusion(predictions), predictions.classes.index(positive)
    found = int(counts[index, index])
    missed, alarms = int(counts[index].sum()) - found, int(counts[:, index].sum()) - found
    return Outcomes(found, missed, alarms, len(predictions) - found - missed - alarms)


def _counted(predictions: Predictions, positive: str | None) -> list[int]:
    if not len(predictions):
        raise ValueError("there are no predictions to measure: give a split that holds images")
    if positive is None:
        return list(range(len(predictions.classes)))
    if positive not in predictions.classes:
        raise ValueError(f"the positive class {positive!r} is not among {', '.join(predictions.classes)}")
    return [predictions.classes.index(positive)]


def _one(decided: Tensor, targets: Tensor, index: int) -> tuple[Tensor, Tensor]:
    return (decided == index).int(), (targets == index).int()


def _average(values: list[Tensor]) -> float | None:
    return float(torch.stack(values).mean()) if values else None


def _surprise(predictions: Predictions) -> Array:
    chosen = predictions.probabilities[np.arange(len(predictions)), predictions.target_indices]
    return -np.log(np.maximum(chosen, SMALLEST))


def _resamples(images: int, samples: int, seed: int) -> Iterator[Array]:
    """Yield how often each image is drawn, in blocks of resamples x images."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // images)
    for start in range(0, samples, rows):
        size = min(rows, samples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), size=size).astype(np.float64)


def _figures(predictions: Predictions, counted: list[int], weights: Array) -> dict[str, Array]:
    """Compute what `compute` does for every row of `weights` (S x N), S values each, NaN where undefined."""
    columns = np.arange(len(predictions.classes))
    is_target = predictions.target_indices[:, None] == columns
    is_decided = predictions.predicted_indices[:, None] == columns
    support, decided, hits = weights @ is_target, weights @ is_decided, weights @ (is_target & is_decided)
    ranked = [_ranked(predictions.probabilities[:, index], is_target[:, index], weights) for index in counted]
    images = weights.sum(axis=1)
    return {
        "accuracy": hits.sum(axis=1) / images,
        "balanced_accuracy": _mean(_ratio(hits, support)),
        "f1": _mean(_ratio(2 * hits, support + decided)[:, counted]),
        "auroc": _mean(np.stack([auroc for auroc, _ in ranked], axis=1)),
        "average_precision": _mean(np.stack([precision for _, precision in ranked], axis=1)),
        "loss": (weights * _surprise(predictions)).sum(axis=1) / images,  # no @: its rounding depends on the threads
    }


def _ranked(scores: Array, is_target: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    """Return AUROC and average precision of one class for every row of `weights`; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf))
    positive = np.add.reduceat(weights[:, order] * is_target[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~is_target[order], starts, axis=1)
    found, alarms = positive.cumsum(axis=1), negative.cumsum(axis=1)
    positives, negatives = found[:, -1], alarms[:, -1]
    below = negatives[:, None] - alarms + negative / 2
    precision = found / np.maximum(found + alarms, 1)
    both = positives * negatives
    auroc = _ratio((positive * below).sum(axis=1), both)
    return auroc, np.where(both > 0, _ratio((positive * precision).sum(axis=1), positives), np.nan)


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator > 0)


def _mean(values: Array) -> Array:
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
