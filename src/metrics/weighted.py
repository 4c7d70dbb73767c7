"""Rows with many weightings at once: what points and the bootstrap are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kinds import Array, Rows

BLOCK = 2_000_000  # weights held at once: 16 MB


@dataclass(frozen=True, eq=False)
class Weighted:
    """N judged images under S weightings; what several metrics need of them is computed once.

    Attributes:
        rows: The images.
        weights: How often, or how much, each image counts: S x N, not negative, each row with a sum above 0.
        positive: The class that counts as the defect, or None.
    """

    rows: Rows
    weights: Array
    positive: str | None = None

    @cached_property
    def images(self) -> Array:
        """Sum of the weights of each weighting, S."""
        sums: Array = self.weights.sum(axis=1)
        return sums

    @cached_property
    def support(self) -> Array:
        """Images that have each class, S x K."""
        return self.weights @ self.rows.target_matrix

    @cached_property
    def decided(self) -> Array:
        """Images that were decided to have each class, S x K."""
        return self.weights @ self.rows.predicted_matrix

    @cached_property
    def hits(self) -> Array:
        """Images that have each class and were decided to, S x K."""
        return self.weights @ (self.rows.target_matrix & self.rows.predicted_matrix)

    @cached_property
    def counted(self) -> list[int]:
        """Columns of the classes that F1, recall and what ranks are the mean over: that of `positive`, or all.

        Raises:
            ValueError: `positive` is no class.
        """
        classes = self.rows.classes
        if self.positive is None:
            return list(range(len(classes)))
        if self.positive not in classes:
            raise ValueError(f"the positive class {self.positive!r} is not among {', '.join(classes)}")
        return [classes.index(self.positive)]

    @cached_property
    def areas(self) -> tuple[Array, Array]:
        """AUROC and average precision of each counted class against the rest, S x counted."""
        scores, is_target = self.rows.probabilities, self.rows.target_matrix
        found = [ranked(scores[:, index], is_target[:, index], self.weights) for index in self.counted]
        auroc, precision = (np.stack(column, axis=1) for column in zip(*found, strict=True))
        return auroc, precision

    def average(self, values: NDArray[Any]) -> Array:
        """Return the weighted mean of N values, S."""
        return total(self.weights, values) / self.images


def resamples(units: NDArray[np.int64], samples: int, seed: int) -> Iterator[Array]:
    """Yield how often each image is drawn, in blocks of resamples x images.

    Args:
        units: Number of each image's unit, from 0 on; images of one unit are drawn together.
        samples: Number of resamples.
        seed: Decides what is drawn.
    """
    generator = np.random.default_rng(seed)
    count = int(units.max()) + 1
    rows = max(1, BLOCK // len(units))
    for start in range(0, samples, rows):
        size = min(rows, samples - start)
        yield generator.multinomial(count, np.full(count, 1 / count), size=size)[:, units].astype(np.float64)


def total(weights: Array, values: NDArray[Any]) -> Array:
    """Return the weighted sum of N values for each row of S x N weights (no @: its rounding depends on the threads)."""
    sums: Array = (weights * values).sum(axis=1)
    return sums


def ranked(scores: NDArray[Any], is_target: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    """Return AUROC and average precision of one class for every row of `weights`; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf))
    positive = np.add.reduceat(weights[:, order] * is_target[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~is_target[order], starts, axis=1)
    found, alarms = positive.cumsum(axis=1), negative.cumsum(axis=1)
    positives, negatives = found[:, -1], alarms[:, -1]
    below = negatives[:, None] - alarms + negative / 2
    called = found + alarms
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    both = positives * negatives
    auroc = ratio((positive * below).sum(axis=1), both)
    return auroc, np.where(both > 0, ratio((positive * precision).sum(axis=1), positives), np.nan)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide, NaN where the denominator is not above 0."""
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator > 0)


def mean(values: Array) -> Array:
    """Return the mean of each row over what is defined in it."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
