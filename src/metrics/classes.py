"""Metrics of decisions among classes or labels; each returns a value for every weighting, NaN where it is undefined."""

from __future__ import annotations

import numpy as np

from ..kinds import Array
from .weighted import Weighted, mean, ratio, total

SMALLEST = float(np.finfo(np.float32).tiny)  # keeps the log of a probability that underflowed finite


def accuracy(rows: Weighted) -> Array:
    """Return the part of the decisions that are right; with several labels each is a decision."""
    right = rows.rows.target_column == rows.rows.predicted_column
    return rows.average(right.reshape(len(right), -1).mean(axis=1))


def exact_match(rows: Weighted) -> Array:
    """Return the part of the images of which every label was decided right."""
    right = rows.rows.target_column == rows.rows.predicted_column
    return rows.average(right.reshape(len(right), -1).all(axis=1))


def balanced_accuracy(rows: Weighted) -> Array:
    """Return the mean recall of the classes that occur."""
    return mean(ratio(rows.hits, rows.support))


def recall(rows: Weighted) -> Array:
    """Return the recall of the positive class, or without one the mean over the classes that occur."""
    return mean(ratio(rows.hits, rows.support)[:, rows.counted])


def f1(rows: Weighted) -> Array:
    """Return F1 of the positive class, or without one the mean over the classes that occur or were decided."""
    return mean(ratio(2 * rows.hits, rows.support + rows.decided)[:, rows.counted])


def auroc(rows: Weighted) -> Array:
    """Return the area under the ROC curve of the positive class, or the mean over classes that some have, others not.

    Each class is taken against the rest.
    """
    return mean(rows.areas[0])


def average_precision(rows: Weighted) -> Array:
    """Return the average precision of the classes that `auroc` takes: the precision at each threshold, by its hits."""
    return mean(rows.areas[1])


def loss(rows: Weighted) -> Array:
    """Return the cross-entropy in nats; with several labels the mean of their binary ones."""
    probabilities, targets = rows.rows.probabilities, rows.rows.target_column
    if targets.ndim == 2:
        of_truth = np.where(rows.rows.target_matrix, probabilities, 1 - probabilities)
        return rows.average(-np.log(np.maximum(of_truth, SMALLEST)).mean(axis=1))
    of_truth = probabilities[np.arange(len(targets)), rows.rows.target_indices]
    return rows.average(-np.log(np.maximum(of_truth, SMALLEST)))


def quadratic_kappa(rows: Weighted) -> Array:
    """Return the agreement of grades beyond chance, misses by the square of their distance (Cohen, 1968).

    Undefined where one grade is all that occurs and is decided.
    """
    grade = np.arange(len(rows.rows.classes), dtype=np.float64)
    squares = (grade[:, None] - grade) ** 2
    by_chance = ((rows.support @ squares) * rows.decided).sum(axis=1) / rows.images
    off = total(rows.weights, (rows.rows.target_values - rows.rows.predicted_values) ** 2)
    return 1 - ratio(off, by_chance)
