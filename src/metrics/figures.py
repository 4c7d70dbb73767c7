"""The figures of some judged images and their intervals, by the kind of task."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import classes, grades, labels, values
from .rows import Rows
from .weighted import Array, Figures, resamples

Intervals = dict[str, tuple[float, float]]
Point = Callable[[Rows, str | None], Figures]
Resampled = Callable[[Rows, str | None, Array], dict[str, Array]]

LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "exact_match": "Exact match",
    "quadratic_kappa": "Quadratic kappa",
    "mean_absolute_error": "Mean absolute error",
    "root_mean_squared_error": "Root mean squared error",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "pearson": "Pearson correlation",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "f1": "F1",
}
_HEADLINES = (("quadratic_kappa", "mean_absolute_error"), ("r2", "mean_absolute_error"), ("balanced_accuracy", "auroc"))
_PARTS = ("accuracy", "exact_match")  # of the images; of several labels, accuracy is over decisions
_KINDS: dict[str, tuple[Point, Resampled]] = {
    "classification": (classes.point, classes.resampled),
    "ordinal": (grades.point, grades.resampled),
    "multilabel": (labels.point, labels.resampled),
    "regression": (values.point, values.resampled),
}


def compute(predictions: Rows, positive: str | None) -> Figures:
    """Return the figures of one split: `classes.point`, `grades.point`, `labels.point` or `values.point`.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.

    Returns:
        Each figure by name; None where it is undefined, as AUROC is with one class only.

    Raises:
        ValueError: There are no rows, or `positive` is no class.
    """
    _require_rows(predictions)
    return _KINDS[predictions.kind][0](predictions, positive)


def intervals(predictions: Rows, positive: str | None, samples: int = 1000, seed: int = 0) -> Intervals:
    """Return 95 % percentile bootstrap intervals of what `compute` gives, resampled over images.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Images count as independent: parts of
    one product in one split make the true interval wider. A resample that leaves a figure undefined is left out of it.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.
        samples: Number of resamples.
        seed: Seed of the resamples; the same seed gives the same intervals.

    Returns:
        Lower and upper end by name, for every figure that is defined and differs between resamples. Where it does not,
        as with no wrong decision, only the part of the images that is right has one, that of Clopper and Pearson.
    """
    figures = compute(predictions, positive)
    resampled = _KINDS[predictions.kind][1]
    blocks = [resampled(predictions, positive, weights) for weights in resamples(len(predictions), samples, seed)]
    result: Intervals = {}
    for name, value in figures.items():
        if value is not None:
            low, high = np.nanquantile(np.concatenate([block[name] for block in blocks]), (0.025, 0.975))
            if high - low > 1e-9 * max(abs(low), abs(high)):  # equal but for the rounding of a sum
                result[name] = (float(low), float(high))
            elif name in _PARTS and value in (0, 1):
                result[name] = _exact(value, len(predictions))
    return result


def _exact(part: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a part that all of `count` images are in, or none (Biometrika 26, 1934, 404)."""
    rarest = float(0.025 ** (1 / count))
    return (rarest, 1.0) if part == 1 else (0.0, 1 - rarest)


def headline(figures: Figures) -> tuple[str, str]:
    """Return the names of the two figures that say most about a split, the one that runs are ordered by first."""
    if "exact_match" in figures:
        return "average_precision", "auroc"
    return next((pair for pair in _HEADLINES if pair[0] in figures), _HEADLINES[-1])


def _require_rows(predictions: Rows) -> None:
    if not len(predictions):
        raise ValueError("there are no predictions to measure: give a split that holds images")
