"""Probabilities that mean what they say: logits divided by a temperature (Guo et al., ICML 2017, arXiv 1706.04599)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs import as_mask, as_table, same_length

COLDEST, HOTTEST = 0.1, 20.0  # colder, float32 could no longer tell the sure from the surer

Logits = NDArray[np.float64]
Probabilities = NDArray[np.float32]


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> tuple[float]:
    """Return the temperature under which the classes, or grades, of some pictures are likeliest.

    It lies from 0.1 to 20: where every decision is right the likelihood alone would have it at 0. No decision changes.

    Args:
        logits: Pictures x classes, of pictures that were not trained on.
        targets: Each one's class, by its place.

    Raises:
        ValueError: Logits are NaN, or targets are no classes.
    """
    values = as_table(logits, None, "logits")
    truth = as_classes(targets, values)
    rows = np.arange(len(values))

    def surprise(divisor: float) -> float:
        scaled = values / divisor
        most = scaled.max(axis=1, keepdims=True)
        likelihood = scaled - most - np.log(np.exp(scaled - most).sum(axis=1, keepdims=True))
        return -float(likelihood[rows, truth].mean())

    return (_least(surprise),)


def fit_label_temperatures(logits: ArrayLike, has_label: ArrayLike) -> tuple[float, ...]:
    """Return the temperature of each label under which its presence in some pictures is likeliest.

    Args:
        logits: Pictures x labels, of pictures that were not trained on.
        has_label: Which labels each has, of the same shape.

    Raises:
        ValueError: Logits are NaN, or the shapes differ.
    """
    values, truth = as_table(logits, None, "logits"), as_mask(has_label, "has_label")
    if truth.shape != values.shape:
        raise ValueError(f"has_label must be of the shape of the logits, {values.shape}, not {truth.shape}")
    signed = np.where(truth, values, -values)
    return tuple(
        _least(lambda divisor, column=column: float(np.logaddexp(0, -column / divisor).mean()))  # type: ignore[misc]
        for column in signed.T
    )


def calibrated(logits: ArrayLike, temperatures: Sequence[float], multilabel: bool = False) -> Probabilities:
    """Return the probabilities of logits that are divided by their temperature, in float32.

    Args:
        logits: Pictures x classes.
        temperatures: None, one, or one for each label.
        multilabel: Whether each column is a label of its own, or all are classes of which one is right.

    Raises:
        ValueError: Logits are NaN, or the temperatures are not as many as that.
    """
    values = as_table(logits, None, "logits").astype(np.float32)
    if len(temperatures) not in (0, 1, values.shape[1] if multilabel else 1):
        raise ValueError(f"there are {len(temperatures)} temperatures for {values.shape[1]} columns of logits")
    scaled = values / np.array(temperatures or (1.0,), dtype=np.float32)
    if multilabel:
        return np.exp(-np.logaddexp(np.float32(0), -scaled))
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Probabilities = raised / raised.sum(axis=1, keepdims=True)
    return shares


def as_classes(targets: ArrayLike, table: Logits) -> NDArray[np.int64]:
    """Return each picture's class by its place among the columns.

    Raises:
        ValueError: There are more or fewer than pictures, or one is no column.
    """
    truth = np.asarray(targets)
    if truth.ndim != 1 or truth.dtype.kind not in "iub":
        raise ValueError(f"targets must be a row of whole numbers, one for each of {len(table)} pictures")
    same_length(table, targets=truth)
    if truth.min() < 0 or truth.max() >= table.shape[1]:
        raise ValueError(f"targets must be from 0 to {table.shape[1] - 1}, not {truth.min()} to {truth.max()}")
    return truth.astype(np.int64)


def _least(surprise: Callable[[float], float]) -> float:
    """Return the temperature with the least surprise, as the camera holds it; the surprise is convex in its inverse."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda slope: surprise(1 / slope), bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-7}
    )
    best = min((1.0 / float(found.x), COLDEST, HOTTEST, 1.0), key=surprise)
    assert math.isfinite(best)
    return float(np.float32(best))
