"""Metrics of a number a picture; each returns a value for every weighting, NaN where it is undefined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kinds import Array
from .weighted import Weighted, total


def mean_absolute_error(rows: Weighted) -> Array:
    """Return the mean distance from the truth, in the unit of the values or in grades."""
    return rows.average(np.abs(rows.rows.predicted_values - rows.rows.target_values))


def root_mean_squared_error(rows: Weighted) -> Array:
    """Return the root of the mean squared distance from the truth."""
    return np.sqrt(rows.average((rows.rows.predicted_values - rows.rows.target_values) ** 2))


def r2(rows: Weighted) -> Array:
    """Return the part of the variance that is explained; undefined where all true values are the same."""
    true, decided = rows.rows.target_values, rows.rows.predicted_values
    off, spread = total(rows.weights, (decided - true) ** 2), _products(rows, true, true)
    return 1 - _divide(off, spread, _varies(rows, true))


def pearson(rows: Weighted) -> Array:
    """Return Pearson's correlation; undefined where all true values are the same, or all decided ones."""
    true, decided = rows.rows.target_values, rows.rows.predicted_values
    both = np.sqrt(_products(rows, true, true) * _products(rows, decided, decided))
    varied = _varies(rows, true) & _varies(rows, decided)
    return np.clip(_divide(_products(rows, true, decided), both, varied), -1, 1)  # rounding may lead beyond


def _products(rows: Weighted, left: Array, right: Array) -> Array:
    """Return the weighted sum of the products of what is left of two columns without their means."""
    columns = [column - rows.average(column)[:, None] for column in (left, right)]
    product: Array = (rows.weights * columns[0] * columns[1]).sum(axis=1)
    return product


def _varies(rows: Weighted, column: Array) -> NDArray[np.bool_]:
    """Return whether two values that count differ: after the mean is taken off, rounding may make equal ones unlike."""
    counts = rows.weights > 0
    most, least = np.where(counts, column, -np.inf).max(axis=1), np.where(counts, column, np.inf).min(axis=1)
    return np.asarray(most > least)


def _divide(numerator: Array, denominator: Array, defined: NDArray[np.bool_]) -> Array:
    where = defined & (denominator > 0)
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=where)
