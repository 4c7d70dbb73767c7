"""How unlike the training's a picture is: the Mahalanobis distance of its L2-normalised features to the nearest class.

Müller and Hein, Mahalanobis++ (ICML 2025, arXiv 2505.18032). The full inverse covariance of 1,280 features would take
6.5 MB. Kept are the directions in which classes differ, and vary most; what lies outside of them is one sum of squares,
which counts by the mean variance there. Without that sum strangers are missed: it is outside that they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs import Names, Scores, as_groups, as_table

DIRECTIONS = 64
BYTES = 300_000
SHORTEST = 1e-12  # of a vector of features: all of them are 0 in a picture that excites nothing

Strangeness = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """Statistics of the training pictures' features, D of them, as they travel in a file.

    The directions are float16: half the bytes, and what the rounding moves is gone from the result, since variances are
    measured along the rounded ones. Everything else is float32.

    Attributes:
        center: Mean of the normalised features, D.
        directions: Kept directions, K x D, of length 1.
        means: Mean of each class along them, C x K.
        weights: One over the variance within the classes along each, K.
        rest: One over the mean variance outside of them, 1; 0 where they span everything.
    """

    center: NDArray[np.float32]
    directions: NDArray[np.floating[Any]]
    means: NDArray[np.float32]
    weights: NDArray[np.float32]
    rest: NDArray[np.float32]

    def strangeness(self, features: ArrayLike) -> Strangeness:
        """Return the squared distance of each picture to the nearest class, N.

        Args:
            features: What reaches the head, N x D.

        Raises:
            ValueError: Features are NaN, infinite or not D.
        """
        away = normalised(as_table(features, len(self.center), "features")).astype(np.float32) - self.center
        along = away @ self.directions.astype(np.float32).T
        nearest = np.min([((along - mean) ** 2) @ self.weights for mean in self.means], axis=0)
        outside = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), np.float32(0))
        found: Strangeness = nearest + outside * self.rest
        return found

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, to be kept in a file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `tensors` gave.

        Raises:
            ValueError: An array is missing, unknown, of another shape or not finite.
        """
        names = [field.name for field in fields(cls)]
        if sorted(tensors) != sorted(names):
            raise ValueError(f"statistics of features have {', '.join(names)}, not {', '.join(sorted(tensors))}")
        found = cls(**tensors)
        classes, kept = found.means.shape if found.means.ndim == 2 else (0, 0)
        wanted = {"directions": (kept, *found.center.shape), "weights": (kept,), "rest": (1,)}
        wrong = [name for name, shape in wanted.items() if tensors[name].shape != shape]
        wrong += [name for name in names if not np.isfinite(tensors[name].astype(np.float64)).all()]
        if not classes or found.center.ndim != 1 or wrong:
            raise ValueError(f"statistics of features do not fit together, or are not finite: {', '.join(wrong)}")
        return found


def normalised(features: Scores) -> Scores:
    """Return features of length 1 each; those that are all 0 stay so."""
    length: Scores = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, SHORTEST)


def fit_mahalanobis(
    features: ArrayLike,
    labels: Names | None = None,
    most: int = DIRECTIONS,
    limit_bytes: int = BYTES,
    precision: type[np.floating[Any]] = np.float16,
) -> Mahalanobis:
    """Return the statistics of training features.

    At most half as many directions are kept as the pictures determine: along the others a variance is an accident.

    Args:
        features: What reaches the head, N x D, of training pictures.
        labels: Class of each, N; None where there are no classes, as with a number or many labels a picture.
        most: Directions to keep at most.
        limit_bytes: Size of all arrays at most.
        precision: In what the directions are kept.

    Raises:
        ValueError: Features are NaN, all alike, or fewer than four pictures, or the limit is too small.
    """
    points = normalised(as_table(features, None, "features"))
    place = np.zeros(len(points), dtype=np.int64) if labels is None else as_groups(labels, len(points), "label")
    classes = int(place.max()) + 1
    center = points.mean(axis=0).astype(np.float32)
    away = points - center
    means = np.stack([away[place == each].mean(axis=0) for each in range(classes)])
    within = away - means[place]
    pictures, size = points.shape
    degrees = min(size, pictures - classes)
    if pictures < 4 or degrees < 1 or (away**2).sum(axis=1).mean() < SHORTEST:
        raise ValueError(f"{pictures} pictures of {classes} classes say too little of what is usual: give more of them")
    trusted = size if degrees == size else max(1, degrees // 2)
    kept = min(most, trusted, _affordable(limit_bytes, size, classes, precision))
    directions = _directions(means, within, kept).astype(precision)
    weights, rest = _weights(away, within, directions.astype(np.float64), degrees)
    along = means @ directions.T.astype(np.float64)
    return Mahalanobis(center, directions, along.astype(np.float32), weights, rest)


def _weights(
    away: Scores, within: Scores, directions: Scores, degrees: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one over the variance along each direction, and outside of all; none is below that outside."""
    outside = np.maximum((away**2).sum(axis=1) - ((away @ directions.T) ** 2).sum(axis=1), 0).mean()
    spare = degrees - len(directions)
    smallest = max(1e-9 * float((within**2).sum(axis=1).mean()), SHORTEST, outside / spare if spare > 0 else 0.0)
    along = np.maximum(((within @ directions.T) ** 2).mean(axis=0), smallest)
    return (1 / along).astype(np.float32), np.array([1 / smallest if spare > 0 else 0.0], dtype=np.float32)


def _affordable(limit: int, size: int, classes: int, precision: type[np.floating[Any]]) -> int:
    """Return how many directions fit into so many bytes."""
    kept = (limit - 4 * size - 4) // (np.dtype(precision).itemsize * size + 4 + 4 * classes)
    if kept < 1:
        raise ValueError(f"{limit} bytes do not hold the statistics of {size} features: allow {16 * size} at least")
    return kept


def _directions(means: Scores, within: Scores, count: int) -> Scores:
    """Return orthonormal directions, at most half of them between classes, along which variances are independent."""
    first = _main(means - means.mean(axis=0), (count + 1) // 2)
    basis = np.concatenate([first, _main(within - (within @ first.T) @ first, count - len(first))])
    _, axes = np.linalg.eigh(basis @ (within.T @ within) @ basis.T)
    turned: Scores = axes.T @ basis
    return turned


def _main(points: Scores, count: int) -> Scores:
    """Return the directions along which points vary most, without those along which they do not."""
    wide = len(points) < points.shape[1]
    variances, axes = np.linalg.eigh(points @ points.T if wide else points.T @ points)
    kept = np.argsort(variances)[::-1][:count]
    kept = kept[variances[kept] > max(1e-10 * float(variances[-1]), SHORTEST**2)]
    chosen: Scores = (points.T @ axes[:, kept] / np.sqrt(variances[kept]) if wide else axes[:, kept]).T
    return chosen
