"""One class a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..spec import Decision, Measurement, TaskSpec
from .kind import Kind, Tensor, sure_of_mistake
from .rows import Array, Rows


class Classification(Kind):
    """The class with the highest probability is decided."""

    name = "classification"
    learns = "label"
    is_exclusive = True
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy", "f1", "auroc", "average_precision", "loss")
    headline = ("balanced_accuracy", "auroc")
    figures = ("confusion",)
    averages = "F1, AUROC and average precision are means over classes, each against the rest."

    def encode(self, texts: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
        """Return the index of each class (N)."""
        place = {name: index for index, name in enumerate(classes)}
        if unknown := sorted(set(texts) - set(place)):
            raise ValueError(f"{unknown[0]!r} is unknown: it must be one of {', '.join(classes)}")
        return np.array([place[text] for text in texts], dtype=np.int64)

    def decode(self, decision: Any, classes: Sequence[str]) -> str:
        """Return the name of the class."""
        return classes[int(decision)]

    def interpret(self, logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
        """Return probabilities that add up to 1 (N x classes), and the likeliest class (N)."""
        return logits.softmax(dim=1), logits.argmax(dim=1)

    def answer(self, probabilities: NDArray[np.float32], decision: Any, task: TaskSpec) -> Decision | Measurement:
        """Return the class and its probability."""
        by_name = dict(zip(task.classes, probabilities.tolist(), strict=True))
        return Decision(self.decode(decision, task.classes), float(probabilities[int(decision)]), by_name)

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much likelier the first class is than the second."""
        least, most = np.sort(probabilities, axis=1)[:, -2:].T
        return np.asarray(most - least)

    def changed(self, before: NDArray[Any], after: NDArray[Any], task: TaskSpec, most: float) -> NDArray[np.bool_]:
        """Return which pictures have another class."""
        return np.asarray(before != after)

    def wrongness(self, rows: Rows) -> Array:
        """Return the probability of the class that was taken for the right one."""
        return sure_of_mistake(rows, exclusive=True)

    def why_undefined(self, rows: Rows, positive: str | None) -> dict[str, str]:
        """Return the reasons: one class only, or no image of the positive one."""
        present = [rows.classes[index] for index in sorted(set(rows.target_indices.tolist()))]
        alone = f"every image is {present[0]}"
        ranked = alone if len(present) == 1 else f"no image is {positive}"
        return {
            "auroc": ranked,
            "average_precision": ranked,
            "f1": f"no image is {positive}, and none was taken for it",
            "quadratic_kappa": f"{alone}, and was taken for it",
        }

    def describe(self, classes: Sequence[str]) -> str:
        """Return how many classes there are."""
        return f"{len(classes)} classes"


KIND = Classification()
