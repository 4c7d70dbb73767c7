"""Several classes without one that passes: the surest are decided with few errors, a person looks at the rest.

The share of errors among the decided need not fall as the limit rises, so that testing in sequence is not allowed.
About twenty limits are fixed by other pictures, and each is tested at its part of the risk (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from .binomial import exact, needed, proves, risk_of, upper_bound
from .inputs import Groups, Mask, Names, Scores, as_groups, as_mask, as_rate, as_scores, as_threshold, same_length
from .promise import ERRORS, CannotPromise, percent, percent_above, percent_below, refusal
from .rounding import down
from .units import count, failures_allowed, share_interval

LIMITS = 20


@dataclass(frozen=True)
class CertifiedDecision:
    """How sure a decision must be to stand without a person.

    Attributes:
        decide_from: A float32; a decision stands if its probability is at least that.
        decided: Pictures whose decision stands, or groups that have one.
        errors: How many of them are wrong, at least one of the group's.
        upper_bound: Bound of the error rate among the decided, at the confidence asked for, all limits counted.
        reviewed: Pictures that a person looks at.
        review_share: Share of the pictures that a person looks at.
        review_share_interval: Its two-sided interval, at the confidence asked for by itself.
        limits: How many limits were tested.
        unit: What was drawn: `image` or `group`.
    """

    decide_from: float
    decided: int
    errors: int
    upper_bound: float
    reviewed: int
    review_share: float
    review_share_interval: tuple[float, float]
    limits: int
    unit: str


def propose_limits(certainties: ArrayLike, count: int = LIMITS) -> tuple[float, ...]:
    """Return the limits to test: of pictures that certify nothing, the shares 0, 1/count, ... lie below them.

    Args:
        certainties: Probability of the decided class of each validation picture.
        count: How many; equal ones are one.

    Raises:
        ValueError: As `as_scores`, or the count is below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    ordered = np.sort(as_scores(certainties, "certainties"))
    places = np.arange(count) * len(ordered) // count
    return tuple(sorted({down(float(value)) for value in ordered[places]}))


def certify_decided(
    certainties: ArrayLike,
    is_wrong: ArrayLike,
    limits: Sequence[float],
    error_rate: float,
    confidence: float,
    groups: Names | None = None,
) -> CertifiedDecision:
    """Return the lowest limit from which on at most `error_rate` of the decisions are wrong, as far as is proven.

    Args:
        certainties: Probability of the decided class of each picture, N.
        is_wrong: Whether the decision is, N.
        limits: What to test, fixed by other pictures: `propose_limits`.
        error_rate: Share of the decided that may be wrong.
        confidence: Probability that the promise is right.
        groups: Each picture's group, N; a group errs if one of its decisions that stand is wrong.

    Raises:
        CannotPromise: No limit can be proven; `needed` says how many decided pictures would do without an error.
        ValueError: As `certify_threshold`, or there are no limits.
    """
    values, wrong = as_scores(certainties, "certainties"), as_mask(is_wrong, "is_wrong")
    same_length(values, is_wrong=wrong)
    numbers = None if groups is None else as_groups(groups, len(values))
    tested = sorted({as_threshold(limit, "limit") for limit in limits})
    if not tested:
        raise ValueError("there are no limits to test: propose_limits takes them from validation pictures")
    if values.min() == values.max():
        raise ValueError(f"all {len(values)} decisions are equally certain: nothing parts the sure from the unsure")
    rate, risk = exact(as_rate(error_rate, "error_rate")), risk_of(as_rate(confidence, "confidence"), len(tested))
    failures_allowed(count(values >= tested[0], numbers), rate, risk, ERRORS, numbers)
    for limit in tested:
        stands = values >= limit
        decided, errors = count(stands, numbers), count(stands & wrong, numbers)
        if proves(errors, decided, rate, risk):
            return _certified(limit, stands, decided, errors, numbers, confidence, len(tested))
    raise _refused(values, wrong, tested, numbers, rate, risk)


def _certified(
    limit: float, stands: Mask, decided: int, errors: int, groups: Groups | None, confidence: float, limits: int
) -> CertifiedDecision:
    return CertifiedDecision(
        decide_from=limit,
        decided=decided,
        errors=errors,
        upper_bound=upper_bound(errors, decided, risk_of(confidence, limits)),
        reviewed=int((~stands).sum()),
        review_share=float((~stands).mean()),
        review_share_interval=share_interval(~stands, groups, risk_of(confidence)),
        limits=limits,
        unit="image" if groups is None else "group",
    )


def _refused(
    values: Scores, wrong: Mask, tested: Sequence[float], groups: Groups | None, rate: Fraction, risk: Fraction
) -> CannotPromise:
    """Return the refusal where there are pictures enough, but too many of their decisions are wrong."""
    counts = [(count(values >= limit, groups), count((values >= limit) & wrong, groups)) for limit in tested]
    bound, decided, errors = min((upper_bound(errors, decided, risk), decided, errors) for decided, errors in counts)
    if not errors:
        return refusal(decided, rate, risk, ERRORS if groups is None else ERRORS.of_groups())
    return CannotPromise(
        f"none of {len(tested)} limits keeps errors to {percent(rate)}: at the best one {errors} of {decided} are "
        f"wrong, which proves at most {percent_above(bound)} at {percent_below(1 - risk)}; train better",
        needed(rate, risk),
    )
