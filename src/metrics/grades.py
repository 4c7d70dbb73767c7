"""Figures of one of ordered grades a picture."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_cohen_kappa
from torchmetrics.functional.regression import mean_absolute_error

from . import classes
from .rows import Rows
from .weighted import Array, Figures, total


def point(predictions: Rows, positive: str | None) -> Figures:
    """Return what `classes.point` does, the mean distance in grades and the quadratic kappa.

    Kappa is undefined where one grade is all that occurs and is decided (Cohen, Weighted Kappa, 1968).
    """
    targets, decided = torch.from_numpy(predictions.target_indices), torch.from_numpy(predictions.predicted_indices)
    alone = len({*targets.tolist(), *decided.tolist()}) == 1
    kappa = None if alone else multiclass_cohen_kappa(decided, targets, len(predictions.classes), weights="quadratic")
    return {
        **classes.point(predictions, positive),
        "quadratic_kappa": None if kappa is None else float(kappa),
        "mean_absolute_error": float(mean_absolute_error(decided.double(), targets.double())),
    }


def resampled(predictions: Rows, positive: str | None, weights: Array) -> dict[str, Array]:
    """Compute what `point` does for every row of `weights` (S x N), S values each, NaN where undefined."""
    apart = np.abs(predictions.target_indices - predictions.predicted_indices).astype(np.float64)
    images = weights.sum(axis=1)
    grade = np.arange(len(predictions.classes), dtype=np.float64)
    squares = (grade[:, None] - grade) ** 2
    support, decided = weights @ predictions.target_matrix, weights @ predictions.predicted_matrix
    by_chance = ((support @ squares) * decided).sum(axis=1) / images
    off = total(weights, apart**2)
    kappa = 1 - np.divide(off, by_chance, out=np.full_like(off, np.nan), where=by_chance > 0)
    return {
        **classes.resampled(predictions, positive, weights),
        "quadratic_kappa": kappa,
        "mean_absolute_error": total(weights, apart) / images,
    }
