"""Any number of labels a picture: those that must not be missed have a threshold each, and one verdict comes of all.

A picture passes if every named label lies below its threshold; a picture with a label can so pass only where that
label is missed. Each label is tested at its part of the risk, so that all promises hold together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from .binomial import exact, risk_of, upper_bound
from .evidence import Evidence, count_evidence
from .inputs import Judged, Mask, Names, Scores, as_groups, as_mask, as_rate, as_table
from .promise import OVERKILLS, Wording
from .threshold import CertifiedThreshold, lower_threshold, upper_threshold
from .units import count


@dataclass(frozen=True)
class CertifiedLabels(Evidence):
    """The thresholds of the named labels, and what the pictures show at them.

    A defect is a picture with a named label; what is promised is said of each label, in `labels`.

    Attributes:
        names: The labels.
        labels: Each one's threshold, with how often it is missed: pictures that have it and lie below the threshold.
        reject_from: A picture is rejected if a named label is at least that; None where each threshold rejects.
    """

    names: tuple[str, ...]
    labels: tuple[CertifiedThreshold, ...]
    reject_from: float | None

    @property
    def pass_below(self) -> tuple[float, ...]:
        """Return the threshold of each label, below which it counts as absent."""
        return tuple(label.threshold for label in self.labels)


def certify_labels(
    probabilities: ArrayLike,
    has_label: ArrayLike,
    names: Sequence[str],
    escape_rate: float,
    confidence: float,
    overkill_rate: float | None = None,
    groups: Names | None = None,
) -> CertifiedLabels:
    """Return thresholds so that of the pictures with any one named label at most `escape_rate` pass.

    Args:
        probabilities: Of the named labels, pictures x labels.
        has_label: Which of them each picture has, of the same shape.
        names: The labels that must not be missed.
        escape_rate: Share of the pictures with a label in which it may be missed, for each label.
        confidence: Probability that the promises for all labels are right together.
        overkill_rate: Share of the pictures without a named label that may be rejected; None promises nothing.
        groups: Each picture's group, N, which is then what is drawn.

    Raises:
        CannotPromise: A label, or a picture without any, is too rare.
        ValueError: As `certify_threshold`, for a label.
    """
    names = tuple(names)
    values, truth = _columns(probabilities, has_label, names)
    numbers = None if groups is None else as_groups(groups, len(values))
    rate, risk = exact(as_rate(escape_rate, "escape_rate")), risk_of(as_rate(confidence, "confidence"), len(names))
    good = ~np.any(truth, axis=1)
    if not good.any():
        raise ValueError("every picture has a named label: give good ones too, or there is nothing to let pass")
    columns = [Judged(*column, numbers) for column in zip(values.T, truth.T, strict=True)]
    labels = tuple(_label(*named, rate, risk) for named in zip(names, columns, strict=True))
    reject_from = None
    if overkill_rate is not None:
        limit = exact(as_rate(overkill_rate, "overkill_rate"))
        worst = Judged(values.max(axis=1), ~good, numbers)
        reject_from = upper_threshold(worst, limit, risk_of(confidence), OVERKILLS).threshold
        labels = tuple(_lowered(*each, reject_from, risk) for each in zip(labels, columns, strict=True))
    passes = np.all(values < np.array([label.threshold for label in labels]), axis=1)
    rejects = ~passes if reject_from is None else np.any(values >= reject_from, axis=1)
    shown = count_evidence(passes, rejects, ~good, confidence, numbers)
    return CertifiedLabels(**vars(shown), names=names, labels=labels, reject_from=reject_from)


def _columns(probabilities: ArrayLike, has_label: ArrayLike, names: tuple[str, ...]) -> tuple[Scores, Mask]:
    values, truth = as_table(probabilities, len(names) or 1), as_mask(has_label, "has_label")
    if not names or len(set(names)) != len(names) or truth.shape != values.shape:
        raise ValueError(
            f"names must be different labels with a column each in probabilities and has_label, not {list(names)} "
            f"for {values.shape} and {truth.shape}"
        )
    return values, truth


def _label(name: str, pictures: Judged, rate: Fraction, risk: Fraction) -> CertifiedThreshold:
    if pictures.scores.min() == pictures.scores.max():
        raise ValueError(f"all {len(pictures.scores)} probabilities of {name!r} are equal: is the model trained?")
    wording = Wording("escapes", f"pictures with {name!r}", "none of them escapes")
    return lower_threshold(pictures, rate, risk, wording)


def _lowered(label: CertifiedThreshold, pictures: Judged, most: float, risk: Fraction) -> CertifiedThreshold:
    """Return the threshold where it is at most `most`, else that with its counts: lower is safer."""
    if label.threshold <= most:
        return label
    escapes = count(pictures.is_defect & (pictures.scores < most), pictures.groups)
    return replace(label, threshold=most, escapes=escapes, upper_bound=upper_bound(escapes, label.defects, risk))
