"""What pictures whose truth is known show about verdicts: how many, how often wrong, and at most how often in truth."""

from __future__ import annotations

from dataclasses import dataclass

from .binomial import risk_of, upper_bound
from .inputs import Groups, Mask
from .units import count, share_interval


@dataclass(frozen=True)
class Evidence:
    """Counts of verdicts and of mistakes, and what they prove.

    Each bound is the one-sided bound of Clopper and Pearson for its counts, at `confidence` alone. Where a rate was
    asked for, the promise is that rate: ties can leave fewer failures than it allows, and then the bound of the counts
    is below it. Where thresholds were chosen otherwise, the bounds hold for pictures that had no part in the choice.

    Attributes:
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


def count_evidence(passes: Mask, rejects: Mask, is_defect: Mask, confidence: float, groups: Groups | None) -> Evidence:
    """Return the counts of verdicts, none of which is both a pass and a rejection; the rest is reviewed."""
    risk, reviews = risk_of(confidence), ~passes & ~rejects
    defects, escapes = count(is_defect, groups), count(is_defect & passes, groups)
    goods, overkills = count(~is_defect, groups), count(~is_defect & rejects, groups)
    return Evidence(
        confidence=confidence,
        unit="image" if groups is None else "group",
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
