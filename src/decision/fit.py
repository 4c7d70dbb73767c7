"""From pictures whose truth is known to a decision with its evidence, for every kind of task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kinds import find_kind
from ..spec import DecisionSpec, TaskSpec
from .apply import certainties, defect_scores, pass_classes
from .band import certify_band, joint_confidence
from .decided import certify_decided, propose_limits
from .evidence import Evidence
from .inputs import as_rate
from .labels import certify_labels
from .margin import Limits, certify_margin, cuts, measure_limits

Said = str | tuple[str, ...] | float  # a class, the labels or a value


@dataclass(frozen=True)
class Objective:
    """What is to be promised, and of what.

    Attributes:
        escape_rate: Share of defects that may pass (of decisions that may be wrong, where no class passes; of values
            that may be further off than the margin).
        overkill_rate: Share of good parts that may be rejected; None promises nothing about them.
        confidence: Probability that a promise is right.
        pass_classes: Classes that may pass; none stands for every class but the positive one.
        labels: Labels that must not be missed.
        limits: Lowest and highest value of a good part, None for a side without.
    """

    escape_rate: float
    overkill_rate: float | None = None
    confidence: float = 0.95
    pass_classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    limits: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        as_rate(self.escape_rate, "escape_rate")
        as_rate(self.confidence, "confidence")
        if self.overkill_rate is not None:
            as_rate(self.overkill_rate, "overkill_rate")

    def to_dict(self) -> dict[str, float | None]:
        """Return the rates, as a certificate states them."""
        rates = {"escape_rate": self.escape_rate, "overkill_rate": self.overkill_rate}
        return {**rates, "confidence": self.confidence}


@dataclass(frozen=True, eq=False)
class Judgements:
    """What a network says of pictures, and what is true.

    Attributes:
        outputs: Probabilities, pictures x classes; or the values, N.
        truths: The class, the labels or the value of each.
        groups: The group of each, where the data have groups; else None.
    """

    outputs: NDArray[Any]
    truths: Sequence[Said]
    groups: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A decision with its evidence.

    Attributes:
        decision: What verdicts are made by.
        figures: What the pictures show, by the key of the certificate.
        scores: What the curves of the certificate are drawn over, N; None where one score does not decide.
        is_defect: Which pictures are defects, N; None as well.
    """

    decision: DecisionSpec
    figures: dict[str, Any]
    scores: NDArray[np.float64] | None = None
    is_defect: NDArray[np.bool_] | None = None


def fit_decision(task: TaskSpec, asked: Objective, shown: Judgements, others: Judgements | None = None) -> Fitted:
    """Return the decision that keeps a promise, as far as the pictures prove it.

    Args:
        task: What the outputs mean.
        asked: The promise.
        shown: Pictures that nothing else has used.
        others: Validation pictures, which fix what is tested where no class passes.

    Raises:
        CannotPromise: The pictures are too few, or too many of them are decided wrongly.
        ValueError: Something is asked for that this kind of task does not have, or is missing.
    """
    require_fitting(task, asked)
    kind = find_kind(task.kind)
    if not kind.has_classes:
        return _fit_margin(asked, shown)
    if not kind.is_exclusive:
        return _fit_labels(task, asked, shown)
    if needs_validation(task, asked):
        return _fit_decided(task, asked, shown, others)
    return _fit_band(task, asked, shown)


def require_fitting(task: TaskSpec, asked: Objective) -> None:
    """Refuse a promise that a task of this kind cannot make, before any picture is looked at.

    Raises:
        ValueError: Something is asked for that this kind of task does not have, or is missing.
    """
    kind = find_kind(task.kind)
    scored = kind.has_classes and kind.is_exclusive
    _require_own(task.kind, "pass_classes", asked.pass_classes, scored)
    _require_own(task.kind, "labels", asked.labels, kind.has_classes and not scored)
    _require_own(task.kind, "limits", asked.limits, not kind.has_classes)
    if not kind.has_classes:
        _refuse_overkill(asked)
        cuts(_limits(asked), 0.0)
    elif not scored:
        _require_labels(task, asked)
    elif needs_validation(task, asked):
        _refuse_overkill(asked)
    else:
        pass_classes(task, asked.pass_classes)


def needs_validation(task: TaskSpec, asked: Objective) -> bool:
    """Return whether no class passes, so that the limits to test are fixed by validation pictures."""
    kind = find_kind(task.kind)
    classes = kind.has_classes and kind.is_exclusive and not kind.ordered
    return classes and task.positive is None and not asked.pass_classes


def _fit_band(task: TaskSpec, asked: Objective, shown: Judgements) -> Fitted:
    passing = pass_classes(task, asked.pass_classes)
    scores = defect_scores(shown.outputs, task.classes, passing).astype(np.float64)
    is_defect = np.array([truth not in passing for truth in shown.truths])
    band = certify_band(scores, is_defect, asked.escape_rate, asked.confidence, asked.overkill_rate, shown.groups)
    decision = _decision(asked, band.unit, pass_classes=passing)
    decision = replace(decision, pass_below=(band.pass_below,), reject_from=(band.reject_from,))
    return Fitted(decision, _figures(band, asked) | asdict(band), scores, is_defect)


def _fit_labels(task: TaskSpec, asked: Objective, shown: Judgements) -> Fitted:
    columns = [task.classes.index(name) for name in asked.labels]
    has = np.array([[name in _labels(truth) for name in asked.labels] for truth in shown.truths])
    found = certify_labels(
        shown.outputs[:, columns],
        has,
        asked.labels,
        asked.escape_rate,
        asked.confidence,
        asked.overkill_rate,
        shown.groups,
    )
    rejects = found.pass_below if found.reject_from is None else (found.reject_from,) * len(asked.labels)
    decision = _decision(asked, found.unit, labels=asked.labels, pass_below=found.pass_below, reject_from=rejects)
    # Promised of each label, at its part of the risk. The counts of all labels together prove nothing at this level:
    # their thresholds were chosen by the same pictures.
    worst = max(label.upper_bound for label in found.labels)
    shown_of = {name: asdict(label) for name, label in zip(found.names, found.labels, strict=True)}
    own = {"pass_below": list(found.pass_below), "reject_from": list(rejects), "labels": shown_of}
    return Fitted(decision, _figures(found, asked) | own | {"escape_rate_upper_bound": worst})


def _fit_margin(asked: Objective, shown: Judgements) -> Fitted:
    limits = _limits(asked)
    truths = np.array(shown.truths, dtype=np.float64)
    margin = certify_margin(truths, shown.outputs, asked.escape_rate, asked.confidence, shown.groups)
    found = measure_limits(truths, shown.outputs, margin.margin, limits, asked.confidence, shown.groups)
    decision = _decision(asked, margin.unit, margin=margin.margin, limits=limits)
    own = {"limits": list(limits), "margin": margin.margin, "misses": margin.misses, "pictures": margin.pictures}
    return Fitted(decision, _figures(found, asked) | own | {"miss_rate_upper_bound": margin.upper_bound})


def _fit_decided(task: TaskSpec, asked: Objective, shown: Judgements, others: Judgements | None) -> Fitted:
    if others is None:
        raise ValueError(
            "no class passes here, so that the limits to test are fixed by validation images: give the run folder as "
            f"model=, or name the classes that may pass, decision.pass_classes=[...], of {', '.join(task.classes)}"
        )
    sure, wrong = certainties(shown.outputs), _is_wrong(task, shown)
    limits = propose_limits(certainties(others.outputs))
    found = certify_decided(sure, wrong, limits, asked.escape_rate, asked.confidence, shown.groups)
    own: dict[str, Any] = {"decide_from": found.decide_from, "decided": found.decided, "errors": found.errors}
    own |= {"error_rate_upper_bound": found.upper_bound, "limits_tested": found.limits, "unit": found.unit}
    own |= {"passed": len(sure) - found.reviewed, "rejected": 0, "reviewed": found.reviewed}
    own |= {"review_share": found.review_share, "review_share_interval": list(found.review_share_interval)}
    return Fitted(_decision(asked, found.unit, decide_from=found.decide_from), _figures(None, asked) | own)


def _decision(asked: Objective, unit: str, **own: Any) -> DecisionSpec:
    rates: dict[str, Any] = asked.to_dict()
    return DecisionSpec(unit=unit, **rates, **own)


def _figures(evidence: Evidence | None, asked: Objective) -> dict[str, Any]:
    """Return every key of the evidence, None where there is none."""
    names = [*Evidence.__dataclass_fields__]
    held = {name: None if evidence is None else getattr(evidence, name) for name in names}
    promises = 1 if asked.overkill_rate is None else 2
    joint = joint_confidence(asked.confidence, promises)
    return (
        {"pass_below": None, "reject_from": None} | held | {"joint_confidence": joint, "confidence": asked.confidence}
    )


def _labels(truth: Said) -> tuple[str, ...]:
    return truth if isinstance(truth, tuple) else (str(truth),)


def _is_wrong(task: TaskSpec, shown: Judgements) -> NDArray[np.bool_]:
    decided = np.asarray(shown.outputs).argmax(axis=1)
    return np.array([task.classes[int(index)] != said for index, said in zip(decided, shown.truths, strict=True)])


def _require_labels(task: TaskSpec, asked: Objective) -> None:
    known = ", ".join(task.classes)
    if not asked.labels:
        raise ValueError(f"name the labels that must not be missed, decision.labels=[...], of {known}")
    if unknown := [name for name in asked.labels if name not in task.classes]:
        raise ValueError(f"{', '.join(map(repr, unknown))} in decision.labels are no labels: choose from {known}")


def _limits(asked: Objective) -> Limits:
    if len(asked.limits) != 2:
        raise ValueError("say what a good part is by decision.limits=[low,high], null for a side without a limit")
    return asked.limits[0], asked.limits[1]


def _require_own(kind: str, name: str, given: Sequence[object], takes: bool) -> None:
    if given and not takes:
        raise ValueError(f"decision.{name} means nothing where the task is {kind}: leave it out")


def _refuse_overkill(asked: Objective) -> None:
    if asked.overkill_rate is not None:
        raise ValueError("overkill_rate is promised of good parts by pass classes or labels: leave it out here")
