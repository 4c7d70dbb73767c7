"""How far probabilities are from what they say: calibration error, Brier score, log loss, and the diagram's points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .calibration import as_classes
from .inputs import as_mask, as_scores, as_table, same_length

BINS = 15
SMALLEST = float(np.finfo(np.float32).smallest_normal)

Column = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Points of a reliability diagram, one for each bin that holds pictures.

    Attributes:
        said: Mean probability in the bin.
        seen: Share of its pictures for which the event came true.
        pictures: How many it holds.
    """

    said: Column
    seen: Column
    pictures: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Return the expected calibration error: the mean distance of what was said and seen, over pictures."""
        return float(np.abs(self.said - self.seen) @ self.pictures / self.pictures.sum())


@dataclass(frozen=True)
class CalibrationFigures:
    """Figures of calibration, lower is better.

    Attributes:
        ece: Expected calibration error over 15 bins with as many pictures each (Guo et al., ICML 2017).
        brier: Mean squared distance of the probabilities from what is true (Brier, 1950).
        log_loss: Mean surprise in nats.
    """

    ece: float
    brier: float
    log_loss: float


def reliability(probabilities: ArrayLike, came_true: ArrayLike, bins: int = BINS) -> Reliability:
    """Return the reliability of one event over bins that hold as many pictures each; equal probabilities share one.

    The bins are those of scikit-learn's `calibration_curve` with `strategy="quantile"`.

    Args:
        probabilities: Of the event, N.
        came_true: Whether it did, N.
        bins: How many, at least 1.

    Raises:
        ValueError: Probabilities are NaN or beyond 0 to 1, lengths differ, or there is no bin.
    """
    said, seen = as_scores(probabilities, "probabilities"), as_mask(came_true, "came_true")
    same_length(said, came_true=seen)
    if said.min() < 0 or said.max() > 1 or bins < 1:
        raise ValueError(f"probabilities lie from 0 to 1 and bins={bins} must be at least 1")
    edges = np.percentile(said, np.linspace(0, 1, bins + 1) * 100)
    place = np.searchsorted(edges[1:-1], said)
    pictures = np.bincount(place, minlength=bins)
    filled = pictures > 0
    mean, share = (np.bincount(place, weights=each, minlength=bins)[filled] for each in (said, seen))
    return Reliability(mean / pictures[filled], share / pictures[filled], pictures[filled].astype(np.int64))


def class_figures(probabilities: ArrayLike, targets: ArrayLike, positive: int | None = None) -> CalibrationFigures:
    """Return the figures of one class a picture.

    The calibration error is that of the positive class, or without one of the decided class. The Brier score is that
    of scikit-learn's `brier_score_loss`: with two classes of one of them, with more the sum over classes.

    Args:
        probabilities: Pictures x classes.
        targets: Each one's class, by its place.
        positive: Place of the positive class, or None.

    Raises:
        ValueError: Probabilities are NaN or beyond 0 to 1, or targets are no classes.
    """
    table = _in_range(probabilities)
    truth = as_classes(targets, table)
    if positive is None:
        curve = reliability(table.max(axis=1), table.argmax(axis=1) == truth)
    else:
        curve = reliability(table[:, positive], truth == positive)
    squares = ((table - np.eye(table.shape[1])[truth]) ** 2).sum(axis=1).mean()
    surprise = -np.log(np.maximum(table[np.arange(len(truth)), truth], SMALLEST)).mean()
    return CalibrationFigures(curve.error, float(squares / (2 if table.shape[1] == 2 else 1)), float(surprise))


def label_figures(probabilities: ArrayLike, has_label: ArrayLike) -> CalibrationFigures:
    """Return the figures of any number of labels a picture, the mean over labels.

    Raises:
        ValueError: Probabilities are NaN or beyond 0 to 1, or the shapes differ.
    """
    table, truth = _in_range(probabilities), as_mask(has_label, "has_label")
    if truth.shape != table.shape:
        raise ValueError(f"has_label must be of the shape of the probabilities, {table.shape}, not {truth.shape}")
    errors = [reliability(said, seen).error for said, seen in zip(table.T, truth.T, strict=True)]
    of_truth = np.where(truth, table, 1 - table)
    surprise = -np.log(np.maximum(of_truth, SMALLEST)).mean()
    return CalibrationFigures(float(np.mean(errors)), float(((1 - of_truth) ** 2).mean()), float(surprise))


def _in_range(probabilities: ArrayLike) -> Column:
    table = as_table(probabilities, None)
    if table.min() < 0 or table.max() > 1:
        raise ValueError(f"probabilities lie from 0 to 1, not {table.min():.3g} to {table.max():.3g}: are they logits?")
    return table
