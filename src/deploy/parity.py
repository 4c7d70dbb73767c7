"""The gate between a trained model and its bundle: the same image files, the same logits, the same decisions."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..edge.session import Outputs
from ..kinds import Decided, find_kind
from ..metrics import METRICS
from ..spec import TaskSpec
from .decisions import Samples, auroc, gate_score, judged, recall, targets_of
from .limits import Limits
from .paired import Paired, best_bound, images_needed, pair

WORST = 5
# Where any difference of logits is allowed, a value counts as changed from this part of the scale.
FREE = 0.02
FOLLOWS = 1e-3


@dataclass(frozen=True)
class Parity:
    """What the gate measured of one stage against the model as it was trained.

    Attributes:
        stage: Name of the stage, such as `merged`, `fp32` or `int8`.
        split: Where the pictures come from, such as `val`.
        images: Number of pictures.
        max_abs_logit_diff: Largest difference of any logit.
        mean_abs_logit_diff: Mean difference over all logits.
        logit_scale: Largest absolute logit of the model.
        changed_decisions: Pictures with another decision than before; of values, see `Kind.changed`.
        accuracy_torch: Part of the model's decisions that are right, 0 to 1; R2 of values.
        accuracy_onnx: Accuracy of the stage on the same pictures.
        recall_torch: Recall of the positive class, or the mean over classes or labels; None of values.
        recall_onnx: That of the stage.
        auroc_torch: Area under the model's ROC curve; None where one class only is there.
        auroc_onnx: That of the stage.
        worst: The pictures with the largest differences, worst first: path, difference and both decisions.
        limits: What was allowed.
        paired: Right decisions before and after, where one class is decided and a bound is asked for.
        defects: Those of the positive class; None where there is none, or as `paired`.
        score: What the two accuracies are: `accuracy`, or `R2` of values.
    """

    stage: str
    split: str
    images: int
    max_abs_logit_diff: float
    mean_abs_logit_diff: float
    logit_scale: float
    changed_decisions: int
    accuracy_torch: float
    accuracy_onnx: float
    recall_torch: float | None
    recall_onnx: float | None
    auroc_torch: float | None
    auroc_onnx: float | None
    worst: tuple[dict[str, Any], ...]
    limits: Limits
    paired: Paired | None = None
    defects: Paired | None = None
    score: str = "accuracy"

    @property
    def passed(self) -> bool:
        """Whether the stage keeps its limits; a difference that is not a number does not."""
        return not self.broken()

    def broken(self) -> list[str]:
        """Return the limits that the stage does not keep, each in a few words."""
        drop = self.accuracy_torch - self.accuracy_onnx
        lost = 0.0 if self.recall_torch is None or self.recall_onnx is None else self.recall_torch - self.recall_onnx
        diff = self.max_abs_logit_diff
        changed = self.changed_decisions
        found = self.limits.broken(diff, self.logit_scale, changed, self.images, drop, lost, self.score)
        if self.paired is not None:
            found += self.limits.unproven(self.paired, self.score)
        # So few defects prove nothing, whatever is decided; `evidence` says so.
        if self.defects is not None and self.limits.why_too_few(self.defects.images) is None:
            found += self.limits.unproven(self.defects, "recall")
        return found

    def evidence(self) -> str:
        """Return what the pairs prove, and what would prove the limit of the point; empty where nothing was paired."""
        if self.paired is None:
            return ""
        told = [_proof(self.paired, self.score)]
        if self.defects is not None and self.limits.drop_bound is not None:
            few = self.limits.why_too_few(self.defects.images) is not None
            enough = images_needed(self.limits.drop_bound)
            beyond = f", which is not bounded: {self.defects.images} defects, {enough} needed" if few else ""
            told.append(_proof(self.defects, "recall") + beyond)
        wanted, images = self.limits.accuracy_drop, self.paired.images
        if wanted and best_bound(images) > wanted:
            told.append(
                f"without a change {images} images prove {best_bound(images):.2%}, and {wanted:.2%} takes "
                f"{images_needed(wanted)}"
            )
        return "; ".join(told)

    def describe(self) -> str:
        """Return the figures in one line."""
        before, after = self.accuracy_torch, self.accuracy_onnx
        part = self.score == "accuracy"  # R2 is none, and may be below zero
        told = f"{100 * before:.1f} -> {100 * after:.1f} %" if part else f"{before:.4f} -> {after:.4f}"
        return (
            f"{self.images} images ({self.split}), max |d logit| {self.max_abs_logit_diff:.2e} on a scale of "
            f"{self.logit_scale:.2f}, {self.changed_decisions} changed decisions, {self.score} {told}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values; a figure that is not finite becomes null."""
        values = {"passed": self.passed} | asdict(self)
        return {key: _finite(value) for key, value in values.items()} | {
            "worst": [{key: _finite(value) for key, value in row.items()} for row in self.worst]
        }


def judge(
    samples: Samples, task: TaskSpec, expected: Outputs, found: Outputs, stage: str, split: str, limits: Limits
) -> Parity:
    """Compare what a stage says about the pictures with what the trained model says.

    Args:
        samples: Path of every picture and its truth: class name, labels joined by `JOINT`, or value.
        task: Names of the classes.
        expected: Outputs of the trained model.
        found: Outputs of the stage.
        stage: Its name, for the record.
        split: Name of the pictures' split, for the record.
        limits: What the stage may differ.

    Raises:
        ValueError: There is no picture, a class is unknown, or a logit of the trained model is not finite.
    """
    targets = targets_of(samples, task, split)
    if not np.isfinite(expected[0]).all():
        raise ValueError("the model's logits are not finite, the training diverged: train with a lower learning rate")
    difference = np.abs(found[0] - expected[0])
    chances = np.abs(found[1] - expected[1]).max(initial=0.0)
    # Probabilities move less than their logits; otherwise they are not computed from them.
    if not chances <= difference.max() + FOLLOWS:
        difference = np.full_like(difference, np.inf)
    kind, scale = find_kind(task.kind), float(np.abs(expected[0]).max())
    pairs = _paired(targets, expected[2], found[2], task) if limits.drop_bound is not None else (None, None)
    limits = replace(limits, accuracy_drop=max(limits.accuracy_drop, kind.gate_rounding))
    part = FREE if limits.relative_logit_diff is None else limits.relative_logit_diff
    other = kind.changed(expected[2], found[2], task, part * scale)
    before, after = (judged(outputs, targets, task) for outputs in (expected, found))
    return Parity(
        stage=stage,
        split=split,
        images=len(samples),
        max_abs_logit_diff=float(difference.max()),
        mean_abs_logit_diff=float(difference.mean()),
        logit_scale=scale,
        changed_decisions=int(other.sum()),
        accuracy_torch=gate_score(before, task),
        accuracy_onnx=gate_score(after, task),
        recall_torch=recall(before, task),
        recall_onnx=recall(after, task),
        auroc_torch=auroc(before, task),
        auroc_onnx=auroc(after, task),
        worst=_worst(samples, difference.max(axis=1), before, after, other),
        limits=limits,
        paired=pairs[0],
        defects=pairs[1],
        score=METRICS[kind.gate_score].word or METRICS[kind.gate_score].label,
    )


def _paired(
    targets: NDArray[Any], before: NDArray[Any], after: NDArray[Any], task: TaskSpec
) -> tuple[Paired | None, Paired | None]:
    """Pair what is right before and after, of all pictures and of the defects; only where one class is decided."""
    if not find_kind(task.kind).is_exclusive:
        return None, None
    right = before == targets, after == targets
    if task.positive is None:
        return pair(*right), None
    defects = targets == task.classes.index(task.positive)
    return pair(*right), pair(right[0][defects], right[1][defects])


def _proof(paired: Paired, score: str) -> str:
    counts = f"{paired.worse} of {paired.images} got worse, {paired.better} better"
    return f"{score} fell by at most {paired.drop_bound:.2%} at 95 % ({counts})"


def _worst(
    samples: Samples, difference: NDArray[np.float32], before: Decided, after: Decided, other: NDArray[np.bool_]
) -> tuple[dict[str, Any], ...]:
    """Name the pictures to look at: changed decisions first, then the largest differences."""
    decode = find_kind(before.kind).decode
    order = sorted(range(len(samples)), key=lambda i: (not other[i], -difference[i]))[:WORST]
    return tuple(
        {
            "path": str(samples[i][0]),
            "max_abs_logit_diff": float(difference[i]),
            "torch": decode(before.predicted[i], before.classes),
            "onnx": decode(after.predicted[i], after.classes),
        }
        for i in order
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
