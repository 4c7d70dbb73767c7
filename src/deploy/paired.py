"""What paired decisions prove about a share of right ones that fell: the exact bound of its drop.

On each picture both files are right, both are wrong, or one of them is right. The drop is the share of pictures that
got worse less that of those that got better. Pictures count as independent; of a unit (a group, copies), which is one
draw, it counts whether any picture got worse, else whether any got better. Its bound inverts the test by Tango's score
(Statistics in Medicine 17, 1998, 891), whose level is the largest over the share that got better, which is not known
(the exact unconditional test: Hsueh, Liu and Chen, Biometrics 57, 2001, 478). The score's own normal quantile does not
hold its level where few pictures change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln, xlog1py, xlogy

from ..decision.binomial import exact, needed, upper_bound

_EXACT = Fraction(1, 20)
RISK = float(_EXACT)  # that the drop is larger than its bound
_PRECISE = 1e-6  # of a bound
_TIE = 1e-9  # scores nearer than this are one
_TAIL = 1e-9  # probability that is added rather than summed
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Decisions of two files on the same pictures.

    Attributes:
        draws: Number of pictures, or of units of them.
        worse: Those that only the first file decides right.
        better: Those that only the second file decides right.
        drop_bound: What the share of right decisions fell by at most, at 95 %.
    """

    draws: int
    worse: int
    better: int
    drop_bound: float


def pair(before: NDArray[np.bool_], after: NDArray[np.bool_], units: Sequence[int] | None = None) -> Paired:
    """Return what two files' decisions prove, from which of them are right.

    Args:
        before: Whether the first file is right, N.
        after: Whether the second is.
        units: Number of each picture's unit, N; None where every picture is one by itself.
    """
    numbers = np.arange(len(before)) if units is None else np.asarray(units, dtype=np.int64)
    draws, lost = len(np.unique(numbers)), np.unique(numbers[before & ~after])
    won = np.setdiff1d(numbers[after & ~before], lost)
    return Paired(draws, len(lost), len(won), drop_bound(len(lost), len(won), draws))


def best_bound(draws: int) -> float:
    """Return the bound where none of so many draws changes: 0.0101 of 295."""
    return upper_bound(0, draws, _EXACT)


def draws_needed(bound: float) -> int:
    """Return the fewest draws that prove a bound above 0 if none of them changes: 598 for 0.005."""
    return 1 if bound >= 1 else needed(exact(bound), _EXACT)


@lru_cache(maxsize=1024)
def drop_bound(worse: int, better: int, images: int) -> float:
    """Return the one-sided upper bound of the drop at 95 %, never rounded down; 1.0 without pictures."""
    low, high = (worse - better) / images if images else 1.0, 1.0
    while high - low > _PRECISE:
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(worse, better, images, middle) > RISK else (low, middle)
    return high


def _chance(worse: int, better: int, images: int, drop: float) -> float:
    """Return how likely a score as low as that of these counts is at most, if it fell by `drop`."""
    least = float(_score(np.array(worse), np.array(better), images, drop)) + _TIE
    counts = np.arange(images + 1)
    most = _most_worse(counts, images, drop, least)
    # The share that got better, closer together where it is small: the chance changes with its root.
    lowest = max(0.0, -drop)
    widest = (1 - drop) / 2 - lowest
    shares = lowest + widest * np.linspace(0, 1, max(100, 4 * math.isqrt(images))) ** 2
    return max(_chance_at(share, share + drop, most, images) for share in shares.tolist())


def _chance_at(better: float, worse: float, most: NDArray[np.int64], images: int) -> float:
    """Return how likely at most `most[c]` pictures get worse where c get better, for the true shares of both."""
    middle = images * better
    spread = 8 * math.sqrt(middle * (1 - better)) + 20  # the rest is less likely than `_TAIL`
    counts = np.arange(max(0, math.floor(middle - spread)), min(images, math.ceil(middle + spread)) + 1)
    ways = gammaln(images + 1) - gammaln(counts + 1) - gammaln(images - counts + 1)
    chances = np.exp(ways + xlogy(counts, better) + xlog1py(images - counts, -better))
    of_rest = min(1.0, worse / (1 - better)) if better < 1 else 0.0
    held = most[counts]
    below = np.where(held >= 0, bdtr(np.maximum(held, 0), images - counts, of_rest), 0.0)
    return float((chances * below).sum()) + _TAIL


def _most_worse(better: NDArray[np.int64], images: int, drop: float, least: float) -> NDArray[np.int64]:
    """Return the largest number of pictures that got worse whose score is at most `least`, -1 where none is."""
    low, high = np.full(len(better), -1), images - better + 1
    while (open_ := high - low > 1).any():
        middle = np.where(open_, (low + high) // 2, low)
        below = open_ & (_score(np.maximum(middle, 0), better, images, drop) <= least)
        low, high = np.where(below, middle, low), np.where(open_ & ~below, middle, high)
    return low


def _score(worse: NDArray[np.int64], better: NDArray[np.int64], images: int, drop: float) -> Array:
    """Return Tango's score of counts under a drop; it grows with `worse`."""
    linear = (2 * images - worse + better) * drop - worse - better
    root = np.sqrt(np.maximum(linear**2 + 8 * images * better * drop * (1 - drop), 0.0))
    share = (root - linear) / (4 * images)  # of pictures that got better, likeliest under this drop
    variance = images * np.maximum(2 * share + drop * (1 - drop), 1e-300)
    score: Array = (worse - better - images * drop) / np.sqrt(variance)
    return score
