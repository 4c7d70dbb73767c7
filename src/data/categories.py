"""Strata for the splits where a sample has several labels or a value in place of one class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .dataset_index import Sample

NO_LABEL = "(none)"
RANGES = 5
FEWEST = 8  # images of a range, so that every split has some


def by_rarest(samples: Sequence[Sample]) -> list[Sample]:
    """Set `label` to the rarest label of each sample, or to `NO_LABEL`, so that rare labels are in every split.

    Fewer than `FEWEST` samples without labels count as the most common label: they need not be in every split.
    """
    count = Counter(name for sample in samples for name in sample.labels or ())
    few = sum(not sample.labels for sample in samples) < FEWEST
    empty = max(count, key=lambda name: (count[name], name)) if few and count else NO_LABEL
    return [
        replace(sample, label=min(sample.labels, key=lambda name: (count[name], name)) if sample.labels else empty)
        for sample in samples
    ]


def by_range(samples: Sequence[Sample]) -> list[Sample]:
    """Set `label` to the range of each sample's value: up to `RANGES` quantile ranges of about equal counts."""
    values = np.array([sample.value for sample in samples], dtype=np.float64)
    parts = max(1, min(RANGES, len(values) // FEWEST))
    cuts = np.unique(np.quantile(values, np.arange(1, parts) / parts, method="higher"))
    cuts = cuts[cuts > values.min()]
    places = np.searchsorted(cuts, values, side="right")
    names = {int(place): _range(values[places == place]) for place in np.unique(places)}
    return [replace(sample, label=names[int(place)]) for sample, place in zip(samples, places, strict=True)]


def require_unlike(samples: Sequence[Sample]) -> None:
    """Refuse values that are all the same.

    Raises:
        ValueError: All are the same.
    """
    values = {sample.value for sample in samples}
    if len(values) == 1:
        raise ValueError(f"every value is {values.pop():g}, so there is nothing to learn: correct the values")


def _range(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    low, high = values.min(), values.max()
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
