"""The figures of some judged images and their intervals, by the kind of task."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ..kinds import KINDS, Array, Kind, Rows, find_kind
from .table import METRICS
from .weighted import Weighted, resamples

Figures = dict[str, float | None]
Intervals = dict[str, tuple[float, float]]
_LEVEL, _ENDS = 0.95, (0.025, 0.975)
_OF_NO_RUN = ("balanced_accuracy", "auroc")


def compute(predictions: Rows, positive: str | None) -> Figures:
    """Return the figures of one split that `Kind.metrics` names.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.

    Returns:
        Each figure by name: None where it is undefined, as AUROC is with one class only, whatever is decided; NaN where
        what it is computed from is not finite, as the outputs of a diverged network are not.

    Raises:
        ValueError: There are no rows, or `positive` is no class.
    """
    whole = _once(predictions, positive)
    return {name: _figure(name, whole) for name in find_kind(predictions.kind).metrics}


def compute_one(name: str, predictions: Rows, positive: str | None) -> float | None:
    """Return one figure, a key of `METRICS`; as `compute`."""
    return _figure(name, _once(predictions, positive))


def intervals(
    predictions: Rows,
    positive: str | None,
    samples: int = 1000,
    seed: int = 0,
    groups: Sequence[str | None] | None = None,
) -> Intervals:
    """Return 95 % percentile bootstrap intervals of what `compute` gives, resampled over groups, or over images.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Where no groups are known images count as
    independent: parts of one product in one split make the true interval wider. A resample that leaves a figure
    undefined is left out of it.

    Args:
        predictions: Rows of one split, at least one.
        positive: The class that counts as the defect, or None.
        samples: Number of resamples.
        seed: Seed of the resamples; the same seed gives the same intervals.
        groups: Name of each image's group; an image without one is drawn by itself. None where none is known.

    Returns:
        Lower and upper end by name, for every figure that is defined and differs between resamples. Where it does not,
        as with no wrong decision, only the part of the images that is right has one, that of Clopper and Pearson for
        so many groups, or images.
    """
    figures, drawn_units = compute(predictions, positive), units(groups or [None] * len(predictions))
    count = int(drawn_units.max()) + 1
    blocks: list[dict[str, Array]] = []
    for weights in resamples(drawn_units, samples, seed):
        drawn = Weighted(predictions, weights, positive)
        blocks.append({name: METRICS[name].compute(drawn) for name in figures})
    result: Intervals = {}
    for name, value in figures.items():
        if value is not None and not math.isnan(value):
            low, high = np.nanquantile(np.concatenate([block[name] for block in blocks]), _ENDS)
            if high - low > 1e-9 * max(abs(low), abs(high)):  # equal but for the rounding of a sum
                result[name] = (float(low), float(high))
            elif METRICS[name].is_part and value in (0, 1):
                exact = binomtest(int(value) * count, count).proportion_ci(_LEVEL, "exact")
                result[name] = (float(exact.low), float(exact.high))
    return result


def units(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Return the number of what each image is drawn with: its group, or where it has none itself."""
    keys = [(group, None) if group is not None else (None, place) for place, group in enumerate(groups)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def headline(figures: Collection[str]) -> tuple[str, str]:
    """Guess, for files that do not name the kind of task, the two figures that say most: `Kind.headline`.

    Args:
        figures: Names of the figures that there are; the kind of task is the one that has most of them.
    """

    def fit(kind: Kind) -> tuple[int, int]:
        return len({*kind.metrics} & {*figures}), -len({*kind.metrics} - {*figures})

    able = [kind for kind in KINDS.values() if {*kind.headline} <= {*figures}]
    return max(able, key=fit).headline if able else _OF_NO_RUN


def why_undefined(predictions: Rows, positive: str | None, figures: Figures) -> dict[str, str]:
    """Return the reason for every figure that is None.

    Args:
        predictions: Rows of one split.
        positive: The class that counts as the defect, or None.
        figures: What `compute` gives of them.
    """
    reasons = find_kind(predictions.kind).why_undefined(predictions, positive)
    return {name: reasons[name] for name, value in figures.items() if value is None}


def _once(predictions: Rows, positive: str | None) -> Weighted:
    """Return the rows, each counted once."""
    if not len(predictions):
        raise ValueError("there are no predictions to measure: give a split that holds images")
    return Weighted(predictions, np.ones((1, len(predictions))), positive)


def _figure(name: str, rows: Weighted) -> float | None:
    metric = METRICS[name]
    used = rows.rows.probabilities if metric.of_probabilities else rows.rows.predicted_column
    if not np.isfinite(used).all():
        return math.nan
    value = float(metric.compute(rows)[0])
    return None if math.isnan(value) else value
