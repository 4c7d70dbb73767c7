"""Any number of labels a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..spec import JOINT, Decision, Measurement, TaskSpec
from .kind import Kind, Tensor, sure_of_mistake
from .rows import Array, Rows


class Multilabel(Kind):
    """Each label is decided by itself, at a probability of a half."""

    name = "multilabel"
    learns = "labels"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "f1", "auroc", "average_precision", "loss")
    headline = ("average_precision", "auroc")
    averages = "Accuracy is over all decisions, exact match over images; the others are means over labels."

    def require_classes(self, classes: Sequence[str]) -> None:
        """Refuse also names that could not be told apart where several stand in one text."""
        super().require_classes(classes)
        if any(JOINT in name for name in classes):
            raise ValueError(f"a label may not hold {JOINT!r}, which stands between labels: rename it")

    def why_no_score(self, truths: Sequence[str]) -> str | None:
        """Return that all images have the same labels: a ranking needs one that some have and others lack."""
        if len({frozenset(_names(truth)) for truth in truths}) > 1:
            return None
        return (
            "val has no label that some of its images have and others lack, so there is no "
            f"{self.score.replace('_', ' ')} to steer by: give val images with a label and without, or take the "
            "source's val split away and one is cut"
        )

    def encode(self, texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
        """Return which labels are there (N x labels)."""
        place, named = {name: index for index, name in enumerate(classes)}, [_names(text) for text in texts]
        if unknown := sorted({name for names in named for name in names} - set(place)):
            raise ValueError(f"{unknown[0]!r} is unknown: it must be one of {', '.join(classes)}")
        matrix = np.zeros((len(texts), len(classes)), dtype=np.bool_)
        for row, names in enumerate(named):
            matrix[row, [place[name] for name in names]] = True
        return matrix

    def decode(self, decision: Any, classes: Sequence[str]) -> str:
        """Return the labels that are there, joined."""
        return JOINT.join(name for name, there in zip(classes, decision.tolist(), strict=True) if there)

    def interpret(self, logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
        """Return the probability of every label (N x labels), and which are there (N x labels)."""
        probabilities = logits.sigmoid()
        return probabilities, (probabilities >= 0.5).long()

    def answer(self, probabilities: NDArray[np.float32], decision: Any, task: TaskSpec) -> Decision | Measurement:
        """Return the labels, and the probability of the least certain of the decisions."""
        by_name = dict(zip(task.classes, probabilities.tolist(), strict=True))
        least = float(np.where(decision, probabilities, 1 - probabilities).min())
        return Decision(self.decode(decision, task.classes), least, by_name)

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far the probability of the least certain label is from a half."""
        return np.asarray(np.abs(probabilities - 0.5).min(axis=1))

    def changed(self, before: NDArray[Any], after: NDArray[Any], task: TaskSpec, most: float) -> NDArray[np.bool_]:
        """Return which pictures have another set of labels."""
        return np.asarray((before != after).any(axis=1))

    def wrongness(self, rows: Rows) -> Array:
        """Return the probability of the surest of the wrong decisions."""
        return sure_of_mistake(rows, exclusive=False)

    def why_undefined(self, rows: Rows, positive: str | None) -> dict[str, str]:
        """Return the reasons: no label is on some images alone, or none is there at all."""
        some = bool(rows.target_matrix.any())
        ranked = "no label is on some images and not on others" if some else "no image has a label"
        return {
            "auroc": ranked,
            "average_precision": ranked,
            "f1": "no image has a label, and none was given one",
        }

    def describe(self, classes: Sequence[str]) -> str:
        """Return how many labels there are."""
        return f"{len(classes)} labels, any number an image"


def _names(text: str) -> list[str]:
    return text.split(JOINT) if text else []


KIND = Multilabel()
