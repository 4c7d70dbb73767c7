"""Other scores of how strange a picture is, to measure `mahalanobis` against; none of them travels in a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .inputs import Names, Scores, as_groups, as_table, same_length
from .mahalanobis import normalised

RIDGE = 1e-6  # on the scatter of the features, so that it can be inverted

Detector = Callable[[ArrayLike], Scores]


def energy(logits: ArrayLike) -> Scores:
    """Return how little evidence there is for any class, N (Liu et al., NeurIPS 2020, arXiv 2010.03759)."""
    values = as_table(logits, None, "logits")
    most = values.max(axis=1)
    found: Scores = -(most + np.log(np.exp(values - most[:, None]).sum(axis=1)))
    return found


def fit_neighbours(features: ArrayLike, neighbours: int = 10) -> Detector:
    """Return the distance to the k-th nearest normalised training picture (Sun et al., ICML 2022, arXiv 2204.06507).

    Args:
        features: Of the training pictures, N x D.
        neighbours: The k.

    Raises:
        ValueError: There are fewer pictures than that.
    """
    known = normalised(as_table(features, None, "features"))
    if not 1 <= neighbours <= len(known):
        raise ValueError(f"neighbours={neighbours} must be from 1 to the {len(known)} training pictures")

    def strangeness(others: ArrayLike) -> Scores:
        near = normalised(as_table(others, known.shape[1], "features")) @ known.T
        nth: Scores = np.partition(-near, neighbours - 1, axis=1)[:, neighbours - 1]
        return np.sqrt(np.maximum(2 + 2 * nth, 0))  # of vectors of length 1

    return strangeness


def fit_relative(features: ArrayLike, labels: Names) -> Detector:
    """Return the Mahalanobis distance to the nearest class, less that to all (Ren et al., arXiv 2106.09022)."""
    points = as_table(features, None, "features")
    place = as_groups(labels, len(points), "label")
    means = np.stack([points[place == each].mean(axis=0) for each in range(int(place.max()) + 1)])
    center = points.mean(axis=0)
    within, overall = _precision(points - means[place]), _precision(points - center)

    def strangeness(others: ArrayLike) -> Scores:
        values = as_table(others, points.shape[1], "features")
        nearest: Scores = np.min([_squares(values - mean, within) for mean in means], axis=0)
        return nearest - _squares(values - center, overall)

    return strangeness


def fit_vim(features: ArrayLike, weight: ArrayLike, bias: ArrayLike, directions: int) -> Detector:
    """Return virtual-logit matching: what lies outside the main directions, less the energy of the head's logits.

    Wang et al., CVPR 2022, arXiv 2203.10807.

    Args:
        features: Of the training pictures, N x D.
        weight: The head's, C x D.
        bias: The head's, C.
        directions: How many are main ones, fewer than D.

    Raises:
        ValueError: Shapes do not fit, or nothing would be left outside.
    """
    points = as_table(features, None, "features")
    matrix, offset = as_table(weight, points.shape[1], "weight"), np.asarray(bias, dtype=np.float64)
    same_length(matrix, bias=offset)
    if not 0 < directions < points.shape[1]:
        raise ValueError(f"directions={directions} must be from 1 to {points.shape[1] - 1}")
    origin = -np.linalg.pinv(matrix) @ offset
    _, axes = np.linalg.eigh((points - origin).T @ (points - origin))
    outer = axes[:, : points.shape[1] - directions]
    logits = points @ matrix.T + offset
    scale = logits.max(axis=1).mean() / np.linalg.norm((points - origin) @ outer, axis=1).mean()

    def strangeness(others: ArrayLike) -> Scores:
        values = as_table(others, points.shape[1], "features")
        outside: Scores = np.linalg.norm((values - origin) @ outer, axis=1)
        found: Scores = scale * outside + energy(values @ matrix.T + offset)
        return found

    return strangeness


def _precision(away: Scores) -> Scores:
    inverse: Scores = np.linalg.inv(away.T @ away + RIDGE * np.eye(away.shape[1])).astype(np.float64)
    return inverse


def _squares(away: Scores, precision: Scores) -> Scores:
    found: Scores = ((away @ precision) * away).sum(axis=1)
    return found
