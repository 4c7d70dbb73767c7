"""The gate between a trained model and its bundle: the same image files, the same logits, the same decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decision import percent, percent_at_most
from ..edge.session import Outputs
from ..kinds import Decided, find_kind
from ..metrics import METRICS
from ..spec import TaskSpec
from .decisions import Samples, auroc, gate_score, judged, recall, targets_of
from .limits import Limits
from .paired import Paired, best_bound, draws_needed, pair

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
        if self.defects is not None and self.limits.why_too_few(self.defects.draws) is None:
            found += self.limits.unproven(self.defects, "recall")
        return found

    def evidence(self) -> str:
        """Return what the pairs prove, and what would prove the limit of the point; empty where nothing was paired."""
        if self.paired is None:
            return ""
        told = [_proof(self.paired, self.score)]
        if self.defects is not None and self.limits.drop_bound is not None:
            few = self.limits.why_too_few(self.defects.draws) is not None
            enough = draws_needed(self.limits.drop_bound)
            beyond = f", which is not bounded: {self.defects.draws} defects, {enough} needed" if few else ""
            told.append(_proof(self.defects, "recall") + beyond)
        wanted, draws = self.limits.accuracy_drop, self.paired.draws
        if wanted and best_bound(draws) > wanted:
            least = percent_at_most(best_bound(draws))
            told.append(f"without a change {draws} prove {least}, and {percent(wanted)} takes {draws_needed(wanted)}")
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
    samples: Samples,
    task: TaskSpec,
    expected: Outputs,
    found: Outputs,
    stage: str,
    split: str,
    limits: Limits,
    units: Sequence[int] | None = None,
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
        units: Number of each picture's unit (a group, copies), which is one draw; None where each is one by itself.

    Raises:
        ValueError: There is no picture, a class is unknown, or a logit of the trained model is not finite.
    """
    targets = targets_of(samples, task, split)
    if not np.isfinite(expected[0]).all():
        raise ValueError("the model's logits are not finite, the training diverged: train with a lower learning rate")
    difference = _difference(expected, found)
    kind, scale = find_kind(task.kind), float(np.abs(expected[0]).max())
    pairs = _paired(targets, expected[2], found[2], task, units) if limits.drop_bound is not None else (None, None)
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


def _difference(expected: Outputs, found: Outputs) -> NDArray[np.float32]:
    """Return by how much each logit differs, infinitely where the probabilities are not computed from the logits."""
    difference: NDArray[np.float32] = np.abs(found[0] - expected[0])
    chances = np.abs(found[1] - expected[1]).max(initial=0.0)
    # Probabilities move less than their logits.
    return difference if chances <= difference.max() + FOLLOWS else np.full_like(difference, np.inf)


def _paired(
    targets: NDArray[Any], before: NDArray[Any], after: NDArray[Any], task: TaskSpec, units: Sequence[int] | None
) -> tuple[Paired | None, Paired | None]:
    """Pair what is right before and after, of all pictures and of the defects; only where one class is decided."""
    if not find_kind(task.kind).is_exclusive:
        return None, None
    right = before == targets, after == targets
    if task.positive is None:
        return pair(*right, units), None
    defects = targets == task.classes.index(task.positive)
    of_defects = None if units is None else [unit for unit, is_one in zip(units, defects, strict=True) if is_one]
    return pair(*right, units), pair(right[0][defects], right[1][defects], of_defects)


def _proof(paired: Paired, score: str) -> str:
    counts = f"{paired.worse} of {paired.draws} got worse, {paired.better} better"
    return f"{score} fell by at most {percent_at_most(paired.drop_bound)} at 95 % ({counts})"


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
