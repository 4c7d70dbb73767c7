"""Two thresholds and the review band between them, with what the pictures show at them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from numpy.typing import ArrayLike

from .binomial import risk_of, upper_bound
from .inputs import Judged, Names, as_rate, as_threshold, judged
from .threshold import certify_rejection, certify_threshold
from .units import count, share_interval


@dataclass(frozen=True)
class Evidence:
    """What some pictures show at two thresholds.

    Each bound is the one-sided bound of Clopper and Pearson for its counts, at `confidence` alone. Where a rate was
    asked for, the promise is that rate: ties can leave fewer failures than it allows, and then the bound of the counts
    is below it. Where thresholds were chosen otherwise, the bounds hold for pictures that had no part in the choice.

    Attributes:
        pass_below: Scores below it pass.
        reject_from: Scores from it on are rejected; between the two a person looks.
        confidence: Of each bound and each interval by itself.
        unit: What was drawn: `image` or `group`; a group fails if one of its pictures does.
        defects: Defects, or groups that have one.
        escapes: How many of them pass.
        escape_rate_upper_bound: Bound of the share of defects that pass.
        goods: Good parts, or groups that have one.
        overkills: How many of them are rejected.
        overkill_rate_upper_bound: Bound of the share of good parts that are rejected.
        passed: Pictures that pass.
        rejected: Pictures that are rejected.
        reviewed: Pictures that a person looks at.
        goods_passed: Good pictures that pass.
        review_share: Share of the pictures that a person looks at.
        review_share_interval: Its two-sided interval.
    """

    pass_below: float
    reject_from: float
    confidence: float
    unit: str
    defects: int
    escapes: int
    escape_rate_upper_bound: float
    goods: int
    overkills: int
    overkill_rate_upper_bound: float
    passed: int
    rejected: int
    reviewed: int
    goods_passed: int
    review_share: float
    review_share_interval: tuple[float, float]


def certify_band(
    scores: ArrayLike,
    is_defect: ArrayLike,
    escape_rate: float,
    confidence: float,
    overkill_rate: float | None = None,
    groups: Names | None = None,
) -> Evidence:
    """Return the thresholds that keep both promises, and what the pictures show at them.

    `pass_below` is that of `certify_threshold`, `reject_from` that of `certify_rejection`. Where they cross, both are
    the lower one. Without an overkill rate there is one threshold and no band. Each promise holds at `confidence`;
    both together at `joint_confidence`.

    Args:
        scores: How likely each picture shows a defect, N; any scale, higher is worse.
        is_defect: Whether it does, N.
        escape_rate: Share of defects that may pass.
        confidence: Probability that a promise is right.
        overkill_rate: Share of good parts that may be rejected; None promises nothing about them.
        groups: Each picture's group, N, which is then what is drawn.

    Raises:
        CannotPromise: There are too few defects or good parts.
        ValueError: As `certify_threshold`.
    """
    pass_below = certify_threshold(scores, is_defect, escape_rate, confidence, groups).threshold
    reject_from = pass_below
    if overkill_rate is not None:
        reject_from = certify_rejection(scores, is_defect, overkill_rate, confidence, groups).threshold
    return measure(scores, is_defect, min(pass_below, reject_from), reject_from, confidence, groups)


def joint_confidence(confidence: float, promises: int = 2) -> float:
    """Return the confidence that several promises are all right, each of which is at `confidence`."""
    return float(max(Fraction(0), 1 - promises * risk_of(as_rate(confidence, "confidence"))))


def measure(
    scores: ArrayLike,
    is_defect: ArrayLike,
    pass_below: float,
    reject_from: float,
    confidence: float,
    groups: Names | None = None,
) -> Evidence:
    """Return what pictures show at two thresholds, which may have come about in any way.

    Raises:
        ValueError: The thresholds are NaN or in the wrong order, or as `certify_threshold`.
    """
    low, high = as_threshold(pass_below, "pass_below"), as_threshold(reject_from, "reject_from")
    if low > high:
        raise ValueError(f"pass_below={low} must not lie above reject_from={high}: where they cross, lower the first")
    pictures = judged(scores, is_defect, groups)
    return _evidence(pictures, low, high, as_rate(confidence, "confidence"))


def _evidence(pictures: Judged, low: float, high: float, confidence: float) -> Evidence:
    groups, is_defect, risk = pictures.groups, pictures.is_defect, risk_of(confidence)
    passes, rejects = pictures.scores < low, pictures.scores >= high
    reviews = ~passes & ~rejects
    defects, escapes = count(is_defect, groups), count(is_defect & passes, groups)
    goods, overkills = count(~is_defect, groups), count(~is_defect & rejects, groups)
    return Evidence(
        pass_below=low,
        reject_from=high,
        confidence=confidence,
        unit=pictures.unit,
        defects=defects,
        escapes=escapes,
        escape_rate_upper_bound=upper_bound(escapes, defects, risk),
        goods=goods,
        overkills=overkills,
        overkill_rate_upper_bound=upper_bound(overkills, goods, risk),
        passed=int(passes.sum()),
        rejected=int(rejects.sum()),
        reviewed=int(reviews.sum()),
        goods_passed=int((passes & ~is_defect).sum()),
        review_share=float(reviews.mean()),
        review_share_interval=share_interval(reviews, groups, risk),
    )
