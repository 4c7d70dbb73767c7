"""Figures of a number a picture."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error, pearson_corrcoef, r2_score

from .rows import Rows
from .weighted import Array, Figures, total


def point(predictions: Rows, positive: str | None) -> Figures:
    """Return mean absolute error, root mean squared error, R2 and Pearson's correlation of one split.

    R2 is undefined where all true values are the same, the correlation also where all decided ones are.
    """
    true, decided = torch.from_numpy(predictions.target_values), torch.from_numpy(predictions.predicted_values)
    varied, moved = bool((true != true[0]).any()), bool((decided != decided[0]).any())
    # In standard deviations of the true values: torchmetrics takes small squares for none, and loses large offsets.
    center, scale = true.mean(), true.std(correction=0) if varied else 1.0
    near, exact = (decided - center) / scale, (true - center) / scale
    return {
        "mean_absolute_error": float(mean_absolute_error(decided, true)),
        "root_mean_squared_error": float(mean_squared_error(decided, true, squared=False)),
        "r2": float(r2_score(near, exact)) if varied else None,
        "pearson": float(pearson_corrcoef(near, exact)) if varied and moved else None,
    }


def resampled(predictions: Rows, positive: str | None, weights: Array) -> dict[str, Array]:
    """Compute what `point` does for every row of `weights` (S x N), S values each, NaN where undefined."""
    true, decided = predictions.target_values, predictions.predicted_values
    images = weights.sum(axis=1)
    off = total(weights, (decided - true) ** 2)
    spread, moved = _squares(weights, true, true), _squares(weights, decided, decided)
    both = np.sqrt(spread * moved)
    undefined = np.full_like(images, np.nan)
    return {
        "mean_absolute_error": total(weights, np.abs(decided - true)) / images,
        "root_mean_squared_error": np.sqrt(off / images),
        "r2": 1 - np.divide(off, spread, out=undefined.copy(), where=spread > 0),
        "pearson": np.divide(_squares(weights, true, decided), both, out=undefined.copy(), where=both > 0),
    }


def _squares(weights: Array, left: Array, right: Array) -> Array:
    """Return the weighted sum of the products of what is left of two columns without their means."""
    images = weights.sum(axis=1, keepdims=True)
    columns = [column - total(weights, column)[:, None] / images for column in (left, right)]
    product: Array = (weights * columns[0] * columns[1]).sum(axis=1)
    return product
