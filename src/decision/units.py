"""What is drawn: pictures, or groups of them, of which one failure is enough."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .binomial import allowed, interval, needed
from .inputs import Groups, Mask, Scores
from .promise import CannotPromise, Wording, refusal

RESAMPLES = 2000


def lowest(scores: Scores, chosen: Mask, groups: Groups | None) -> Scores:
    """Return the chosen scores in rising order; with groups the lowest one of each group that has any."""
    return -highest(-scores, chosen, groups)[::-1]


def highest(scores: Scores, chosen: Mask, groups: Groups | None) -> Scores:
    """Return the chosen scores in rising order; with groups the highest one of each group that has any."""
    if groups is None:
        return np.sort(scores[chosen])
    best = np.full(groups.max() + 1, -np.inf)
    np.maximum.at(best, groups[chosen], scores[chosen])
    return np.sort(best[np.unique(groups[chosen])])


def count(chosen: Mask, groups: Groups | None) -> int:
    """Return how many pictures are chosen, or how many groups have one that is."""
    return int(chosen.sum()) if groups is None else len(np.unique(groups[chosen]))


def failures_allowed(draws: int, rate: Fraction, risk: Fraction, wording: Wording, groups: Groups | None) -> int:
    """Return how many of the draws may fail.

    Raises:
        CannotPromise: None of them could prove the rate, or all pictures are of one group.
    """
    wording = wording if groups is None else wording.of_groups()
    if groups is not None and not groups.any():
        enough = needed(rate, risk)
        raise CannotPromise(
            f"all {len(groups)} pictures are of one group, which is one draw: it takes {enough} {wording.draws}, "
            f"if {wording.none}",
            enough,
        )
    most = allowed(draws, rate, risk)
    if most is None:
        raise refusal(draws, rate, risk, wording)
    return most


def share_interval(chosen: Mask, groups: Groups | None, risk: Fraction) -> tuple[float, float]:
    """Return the two-sided interval of the share of pictures that are chosen, at confidence 1 - risk.

    It is that of Clopper and Pearson; with groups the percentile bootstrap over groups (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13), or where all pictures agree that of the groups.
    """
    if groups is None:
        return interval(int(chosen.sum()), len(chosen), risk)
    size, hits = np.bincount(groups), np.bincount(groups, weights=chosen)
    if chosen.all() or not chosen.any():
        return interval(len(size) if chosen.all() else 0, len(size), risk)
    drawn = np.random.default_rng(0).multinomial(len(size), np.full(len(size), 1 / len(size)), RESAMPLES)
    shares = (drawn @ hits) / (drawn @ size)
    low, high = np.quantile(shares, (float(risk) / 2, 1 - float(risk) / 2))
    return float(low), float(high)
