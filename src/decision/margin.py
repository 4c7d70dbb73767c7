"""A number a picture: how far the value can be off, and what it then says about limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .binomial import exact, risk_of, upper_bound
from .evidence import Evidence, count_evidence
from .inputs import Mask, Names, as_groups, as_rate, as_scores, same_length
from .promise import MISSES
from .rounding import down, up
from .units import failures_allowed, highest

Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class CertifiedMargin:
    """How far off a value is at most, but for few pictures.

    Attributes:
        margin: A float32; the truth lies within value - margin and value + margin.
        pictures: Pictures that it was tested on, or groups of them.
        misses: How many of them are further off, at least one of the group's.
        upper_bound: Bound of the share that is further off, at the confidence asked for.
        unit: What was drawn: `image` or `group`.
    """

    margin: float
    pictures: int
    misses: int
    upper_bound: float
    unit: str


def certify_margin(
    values: ArrayLike,
    predicted: ArrayLike,
    miss_rate: float,
    confidence: float,
    groups: Names | None = None,
) -> CertifiedMargin:
    """Return the smallest margin within which all but `miss_rate` of the values are right, as far as is proven.

    A part outside its limits passes only where its value is further off than the margin: of all parts at most
    `miss_rate` escape so. Split conformal prediction would keep the rate in the mean of many calibrations only; this
    keeps it in all but 1 - confidence of them.

    Args:
        values: True value of each picture, N.
        predicted: What the network says, N.
        miss_rate: Share of the pictures whose value may be further off.
        confidence: Probability that the promise is right.
        groups: Each picture's group, N; a group is missed if one of its pictures is.

    Raises:
        CannotPromise: There are too few pictures, or groups; `needed` says how many would do.
        ValueError: As `certify_threshold`, or all predictions are equal.
    """
    truth, guess = _finite(values, "values"), _finite(predicted, "predicted")
    same_length(truth, predicted=guess)
    numbers = None if groups is None else as_groups(groups, len(truth))
    if guess.min() == guess.max():
        raise ValueError(f"all {len(guess)} predictions are equal: they say nothing of a part; is the model trained?")
    rate, risk = exact(as_rate(miss_rate, "miss_rate")), risk_of(as_rate(confidence, "confidence"))
    off = np.nextafter(np.abs(truth - guess), np.inf)  # the difference is itself rounded
    worst = highest(off, np.ones(len(off), dtype=np.bool_), numbers)
    most = failures_allowed(len(worst), rate, risk, MISSES, numbers)
    margin = up(float(worst[len(worst) - 1 - most]))
    misses = int((worst > margin).sum())
    unit = "image" if numbers is None else "group"
    return CertifiedMargin(margin, len(worst), misses, upper_bound(misses, len(worst), risk), unit)


def measure_limits(
    values: ArrayLike,
    predicted: ArrayLike,
    margin: float,
    limits: Limits,
    confidence: float,
    groups: Names | None = None,
) -> Evidence:
    """Return what pictures show at limits that values keep off by a margin; a defect is a part outside of them.

    Args:
        values: True value of each picture, N.
        predicted: What the network says, N.
        margin: How far off a value is at most.
        limits: Lowest and highest value of a good part; None for a side without.
        confidence: Of each bound.
        groups: Each picture's group, N, which is then what is counted.

    Raises:
        ValueError: As `certify_margin` and `cuts`.
    """
    truth, guess = _finite(values, "values"), _finite(predicted, "predicted")
    same_length(truth, predicted=guess)
    passes, rejects = by_limits(guess.astype(np.float32), limits, margin)
    low, high = -math.inf if limits[0] is None else limits[0], math.inf if limits[1] is None else limits[1]
    numbers = None if groups is None else as_groups(groups, len(truth))
    return count_evidence(passes, rejects, (truth < low) | (truth > high), as_rate(confidence, "confidence"), numbers)


def by_limits(values: NDArray[np.float32], limits: Limits, margin: float) -> tuple[Mask, Mask]:
    """Return which values pass, the whole of value +- margin inside the limits, and which are rejected, all outside.

    Raises:
        ValueError: As `cuts`.
    """
    below, inside, within, above = np.array(cuts(limits, margin), dtype=np.float32)
    return (values >= inside) & (values <= within), (values < below) | (values > above)


def cuts(limits: Limits, margin: float) -> tuple[float, float, float, float]:
    """Return four float32: reject below the first, pass from the second to the third, reject above the fourth.

    They are rounded to the side where a person looks. Without a limit on a side the cuts of that side are infinite;
    where the limits leave no room for the margin, the second lies above the third and nothing passes.

    Raises:
        ValueError: The limits are NaN, out of order or both missing, or the margin is negative.
    """
    low, high = limits
    known = [limit for limit in limits if limit is not None]
    if not known or not all(map(math.isfinite, known)) or known != sorted(set(known)):
        raise ValueError(f"limits must be [low, high] with low below high, or null for one of them, not {list(limits)}")
    if not 0 <= margin < math.inf:
        raise ValueError(f"the margin must be a number of at least 0, not {margin}")
    below, inside = (-math.inf, -math.inf) if low is None else (down(_less(low, margin)), up(_more(low, margin)))
    within, above = (math.inf, math.inf) if high is None else (down(_less(high, margin)), up(_more(high, margin)))
    return below, inside, within, above


def _finite(values: ArrayLike, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    numbers = as_scores(values, what)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{what} must be finite: find the pictures that give others")
    return numbers


def _less(limit: float, margin: float) -> float:
    rounded = limit - margin
    return rounded if Fraction(rounded) <= Fraction(limit) - Fraction(margin) else math.nextafter(rounded, -math.inf)


def _more(limit: float, margin: float) -> float:
    return -_less(-limit, margin)
