"""Figures of many weightings of the same rows at once: what the bootstrap is made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Figures = dict[str, float | None]
SMALLEST = float(np.finfo(np.float32).tiny)  # keeps the log of a probability that underflowed finite
BLOCK = 2_000_000  # weights held at once: 16 MB


def resamples(images: int, samples: int, seed: int) -> Iterator[Array]:
    """Yield how often each image is drawn, in blocks of resamples x images."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // images)
    for start in range(0, samples, rows):
        size = min(rows, samples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), size=size).astype(np.float64)


def total(weights: Array, values: Array) -> Array:
    """Return the weighted sum of N values for each row of S x N weights (no @: its rounding depends on the threads)."""
    sums: Array = (weights * values).sum(axis=1)
    return sums


def ranked(scores: Array, is_target: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
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
    auroc = ratio((positive * below).sum(axis=1), both)
    return auroc, np.where(both > 0, ratio((positive * precision).sum(axis=1), positives), np.nan)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide, NaN where the denominator is not above 0."""
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator > 0)


def mean(values: Array) -> Array:
    """Return the mean of each row over what is defined in it."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


def average(values: list[Tensor]) -> float | None:
    """Return the mean of single figures, None where there is none."""
    return float(torch.stack(values).mean()) if values else None
