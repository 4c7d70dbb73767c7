"""How often defects would pass and good parts be rejected at every threshold, with the bounds of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .binomial import risk_of, upper_bound
from .inputs import Names, as_rate, judged
from .units import highest, lowest

POINTS = 400

Rates = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """Rates by threshold, each an array as long as `thresholds`; a group fails if one of its pictures does.

    Attributes:
        thresholds: Ascending.
        escapes: Share of defects below the threshold.
        escape_bounds: Upper bound of it at the confidence, of each threshold by itself.
        overkills: Share of good parts at the threshold or above it.
        overkill_bounds: Upper bound of it.
    """

    thresholds: Rates
    escapes: Rates
    escape_bounds: Rates
    overkills: Rates
    overkill_bounds: Rates


def trade_off(scores: ArrayLike, is_defect: ArrayLike, confidence: float, groups: Names | None = None) -> Tradeoff:
    """Return the rates at thresholds between the scores, at most `POINTS` of them.

    Raises:
        ValueError: As `certify_threshold`.
    """
    pictures, risk = judged(scores, is_defect, groups), risk_of(as_rate(confidence, "confidence"))
    known = np.unique(pictures.scores[np.isfinite(pictures.scores)])
    between = np.concatenate([known[:1], (known[1:] + known[:-1]) / 2, np.nextafter(known[-1:], np.inf)])
    places = np.unique(np.linspace(0, len(between) - 1, min(POINTS, len(between))).astype(int))
    thresholds = between[places]
    bad = lowest(pictures.scores, pictures.is_defect, pictures.groups)
    good = highest(pictures.scores, ~pictures.is_defect, pictures.groups)
    below = np.searchsorted(bad, thresholds, side="left")
    above = len(good) - np.searchsorted(good, thresholds, side="left")
    return Tradeoff(
        thresholds=thresholds,
        escapes=below / max(1, len(bad)),
        escape_bounds=np.array([upper_bound(int(count), len(bad), risk) for count in below]),
        overkills=above / max(1, len(good)),
        overkill_bounds=np.array([upper_bound(int(count), len(good), risk) for count in above]),
    )
