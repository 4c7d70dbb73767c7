"""Two thresholds and the review band between them, with what the pictures show at them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from numpy.typing import ArrayLike

from .binomial import risk_of
from .evidence import Evidence, count_evidence
from .inputs import Names, as_rate, as_threshold, judged
from .threshold import certify_rejection, certify_threshold


@dataclass(frozen=True)
class Band(Evidence):
    """Two thresholds, and what some pictures show at them.

    Attributes:
        pass_below: Scores below it pass.
        reject_from: Scores from it on are rejected; between the two a person looks.
    """

    pass_below: float
    reject_from: float


def certify_band(
    scores: ArrayLike,
    is_defect: ArrayLike,
    escape_rate: float,
    confidence: float,
    overkill_rate: float | None = None,
    groups: Names | None = None,
) -> Band:
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
) -> Band:
    """Return what pictures show at two thresholds, which may have come about in any way.

    Raises:
        ValueError: The thresholds are NaN or in the wrong order, or as `certify_threshold`.
    """
    low, high = as_threshold(pass_below, "pass_below"), as_threshold(reject_from, "reject_from")
    if low > high:
        raise ValueError(f"pass_below={low} must not lie above reject_from={high}: where they cross, lower the first")
    pictures, level = judged(scores, is_defect, groups), as_rate(confidence, "confidence")
    passes, rejects = pictures.scores < low, pictures.scores >= high
    shown = count_evidence(passes, rejects, pictures.is_defect, level, pictures.groups)
    return Band(**vars(shown), pass_below=low, reject_from=high)
