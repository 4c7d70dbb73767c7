"""Thresholds with a promise, by fixed-sequence testing (Angelopoulos et al., Learn then Test, arXiv 2110.01052).

The share of defects below a threshold only grows with the threshold. Tested from the lowest one on until the first that
fails, all thresholds together spend the risk of one test: the last that held is right at the confidence asked for,
whatever the scores look like, ties and infinities included.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from .binomial import exact, needed, risk_of, upper_bound
from .inputs import Judged, Names, as_rate, judged
from .promise import ESCAPES, OVERKILLS, CannotPromise, Wording
from .rounding import between
from .units import failures_allowed, highest, lowest


@dataclass(frozen=True)
class CertifiedThreshold:
    """Below which score a part passes, so that few defects do.

    Attributes:
        threshold: A float32; a part passes if its score is below it.
        defects: Defects that it was tested on, or groups that have one.
        escapes: How many of them pass, at least one of the group's defects.
        upper_bound: Bound of the escape rate by these counts, at the confidence asked for.
        unit: What was drawn: `image` or `group`.
    """

    threshold: float
    defects: int
    escapes: int
    upper_bound: float
    unit: str = "image"


@dataclass(frozen=True)
class CertifiedRejection:
    """From which score on a part is rejected, so that few good ones are.

    Attributes:
        threshold: A float32; a part is rejected if its score is at least that.
        goods: Good parts that it was tested on, or groups that have one.
        overkills: How many of them are rejected, at least one of the group's good parts.
        upper_bound: Bound of the overkill rate by these counts, at the confidence asked for.
        unit: What was drawn: `image` or `group`.
    """

    threshold: float
    goods: int
    overkills: int
    upper_bound: float
    unit: str = "image"


def certify_threshold(
    scores: ArrayLike,
    is_defect: ArrayLike,
    escape_rate: float,
    confidence: float,
    groups: Names | None = None,
) -> CertifiedThreshold:
    """Return the highest threshold below which at most `escape_rate` of the defects fall, as far as the counts prove.

    It holds for parts drawn as these were, pictures independently of each other, or groups where they are given; and
    only where nothing else was chosen by these pictures: no weight, epoch, temperature or layer.

    Args:
        scores: How likely each picture shows a defect, N; any scale, higher is worse.
        is_defect: Whether it does, N.
        escape_rate: Share of defects that may pass, above 0 and below 1.
        confidence: Probability that the promise is right, above 0 and below 1.
        groups: Each picture's group (lot, plant, module, camera), N; a group escapes if one of its defects passes.

    Returns:
        The threshold, midway between neighbouring scores and rounded down to float32, with its evidence.

    Raises:
        CannotPromise: There are too few defects, or groups that have one; `needed` says how many would do.
        ValueError: Lengths differ, scores are NaN or all equal, no part is good, or a rate is not between 0 and 1.
    """
    rate, risk = _asked(escape_rate, "escape_rate", confidence)
    pictures = judged(scores, is_defect, groups)
    if pictures.is_defect.all():
        raise ValueError("every picture is a defect: give good parts too, or there is nothing to let pass")
    return lower_threshold(pictures, rate, risk, ESCAPES)


def certify_rejection(
    scores: ArrayLike,
    is_defect: ArrayLike,
    overkill_rate: float,
    confidence: float,
    groups: Names | None = None,
) -> CertifiedRejection:
    """Return the lowest threshold from which on at most `overkill_rate` of the good parts lie, as the counts prove.

    The mirror of `certify_threshold`: its arguments and conditions are the same.

    Returns:
        The threshold, midway between neighbouring scores and rounded up to float32, with its evidence.

    Raises:
        CannotPromise: There are too few good parts, or groups that have one; `needed` says how many would do.
        ValueError: Lengths differ, scores are NaN or all equal, no part is bad, or a rate is not between 0 and 1.
    """
    rate, risk = _asked(overkill_rate, "overkill_rate", confidence)
    pictures = judged(scores, is_defect, groups)
    if not pictures.is_defect.any():
        raise ValueError("no picture is a defect: give defects too, or there is nothing to reject")
    return upper_threshold(pictures, rate, risk, OVERKILLS)


def lower_threshold(pictures: Judged, rate: Fraction, risk: Fraction, wording: Wording) -> CertifiedThreshold:
    """Return the highest threshold that lets at most `rate` of the defects pass, at a risk of its own.

    Raises:
        CannotPromise: As `certify_threshold`.
    """
    worst = lowest(pictures.scores, pictures.is_defect, pictures.groups)
    most = failures_allowed(len(worst), rate, risk, wording, pictures.groups)
    high = float(worst[most])  # the first that may not pass
    if high == -np.inf:
        raise _certain(int((worst == high).sum()), "defects", "pass below", needed(rate, risk))
    low = float(np.max(pictures.scores, where=pictures.scores < high, initial=-np.inf))
    threshold = between(low, high, upwards=False)
    escapes = int((worst < threshold).sum())
    bound = min(upper_bound(escapes, len(worst), risk), float(rate))  # the test is exact, the bound is rounded up
    return CertifiedThreshold(threshold, len(worst), escapes, bound, pictures.unit)


def upper_threshold(pictures: Judged, rate: Fraction, risk: Fraction, wording: Wording) -> CertifiedRejection:
    """Return the lowest threshold that rejects at most `rate` of the good parts, at a risk of its own.

    Raises:
        CannotPromise: As `certify_rejection`.
    """
    worst = highest(pictures.scores, ~pictures.is_defect, pictures.groups)
    most = failures_allowed(len(worst), rate, risk, wording, pictures.groups)
    low = float(worst[len(worst) - 1 - most])  # the first from above that may not be rejected
    if low == np.inf:
        raise _certain(int((worst == low).sum()), "good parts", "are rejected from", needed(rate, risk))
    high = float(np.min(pictures.scores, where=pictures.scores > low, initial=np.inf))
    threshold = between(low, high, upwards=True)
    overkills = int((worst >= threshold).sum())
    bound = min(upper_bound(overkills, len(worst), risk), float(rate))
    return CertifiedRejection(threshold, len(worst), overkills, bound, pictures.unit)


def _asked(rate: float, name: str, confidence: float) -> tuple[Fraction, Fraction]:
    return exact(as_rate(rate, name)), risk_of(as_rate(confidence, "confidence"))


def _certain(count: int, parts: str, verb: str, enough: int) -> CannotPromise:
    return CannotPromise(f"{count} {parts} have an infinite score and {verb} every threshold: look at them", enough)
