"""Thresholds that are chosen, not certified: by what mistakes cost, or by F1.

Nothing is promised by a choice. Its bounds are those that `band.measure` gives on pictures that had no part in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs import Judged, as_table, judged
from .rounding import between

Column = NDArray[np.float64]


def choose_by_cost(scores: ArrayLike, is_defect: ArrayLike, costs: ArrayLike) -> tuple[float, float]:
    """Return the thresholds `pass_below` and `reject_from` at which the pictures' decisions cost least.

    Of thresholds that cost the same, those are taken that pass and reject least.

    Args:
        scores: How likely each picture shows a defect, N.
        is_defect: Whether it does, N.
        costs: A row for good parts and one for defects; columns for pass and reject, and where there is a third for
            review. With two columns both thresholds are one.

    Raises:
        ValueError: The matrix has another shape or pays for mistakes, there is one kind of parts only, or as
            `certify_threshold`.
    """
    good, bad = _costs(costs)
    pictures = _both_kinds(scores, is_defect)
    levels, goods, defects = _levels(pictures)
    per_pass, per_reject = goods * good[0] + defects * bad[0], goods * good[1] + defects * bad[1]
    if len(good) == 2:
        only = _threshold(levels, int(np.argmin(_before(per_pass) + _after(per_reject))), upwards=False)
        return only, only
    per_review = goods * good[2] + defects * bad[2]
    passing, rejecting = _before(per_pass - per_review), _after(per_reject - per_review)
    best_below = np.minimum.accumulate(passing)  # of the thresholds up to each
    last = len(levels) - int(np.argmin((best_below + rejecting)[::-1]))
    first = int(np.argmin(passing[: last + 1]))
    low = _threshold(levels, first, upwards=False)
    return low, _threshold(levels, last, upwards=True) if first < last else low


def choose_by_f1(scores: ArrayLike, is_defect: ArrayLike) -> tuple[float, float]:
    """Return the threshold, twice, at which the F1 of the defects is highest, the lowest one of equal ones.

    Raises:
        ValueError: There is one kind of parts only, or as `certify_threshold`.
    """
    levels, goods, defects = _levels(_both_kinds(scores, is_defect))
    found, alarms = _after(defects), _after(goods)
    only = _threshold(levels, int(np.argmax(2 * found / (found + alarms + defects.sum()))), upwards=False)
    return only, only


def _costs(costs: ArrayLike) -> tuple[Column, Column]:
    matrix = as_table(costs, None, "costs")
    if matrix.shape not in ((2, 2), (2, 3)):
        raise ValueError(
            f"costs must have a row for good parts and one for defects, and a column for pass, one for reject and if "
            f"you like one for review: 2 x 2 or 2 x 3, not {' x '.join(map(str, matrix.shape))}"
        )
    good, bad = matrix
    if good[0] >= good[1] or bad[1] >= bad[0]:
        raise ValueError(
            f"costs {matrix.tolist()} pay for mistakes: a good part must cost less passed than rejected, a defect less "
            "rejected than passed; are rows and columns exchanged?"
        )
    return good, bad


def _both_kinds(scores: ArrayLike, is_defect: ArrayLike) -> Judged:
    pictures = judged(scores, is_defect, None)
    if pictures.is_defect.all() or not pictures.is_defect.any():
        kind = "a defect" if pictures.is_defect.all() else "good"
        raise ValueError(f"every picture is {kind}: a threshold is chosen by pictures of both kinds")
    return pictures


def _levels(pictures: Judged) -> tuple[Column, Column, Column]:
    """Return the different scores in rising order, and how many good and bad parts have each."""
    levels, place = np.unique(pictures.scores, return_inverse=True)
    defects = np.bincount(place, weights=pictures.is_defect, minlength=len(levels)).astype(np.float64)
    return levels, np.bincount(place, minlength=len(levels)) - defects, defects


def _before(values: Column) -> Column:
    """Return the sum of what comes before each level, and before none, of one more than there are."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _after(values: Column) -> Column:
    """Return the sum of each level and what comes after it, and at the end nothing."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


def _threshold(levels: Column, place: int, upwards: bool) -> float:
    low = levels[place - 1] if place else -np.inf
    high = levels[place] if place < len(levels) else np.inf
    return between(float(low), float(high), upwards)
