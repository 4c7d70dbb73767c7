"""A number a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..spec import Decision, Measurement, TaskSpec
from .kind import Kind, Tensor
from .rows import Array, Rows

LEAST_SPREAD = 1e-5  # of the mean: float32 holds 7 digits


class Regression(Kind):
    """The logit is a standardised value."""

    name = "regression"
    learns = "value"
    has_classes = False
    metrics: ClassVar[tuple[str, ...]] = ("mean_absolute_error", "root_mean_squared_error", "r2", "pearson")
    headline = ("r2", "mean_absolute_error")
    gate_score = "r2"
    gate_rounding = 1e-4  # R2 moves with every rounding, where a part of decisions stays
    figures = ("scatter", "errors")
    averages = "Errors are in the unit of the values."
    mistakes_title = "Largest errors"

    def require(self, task: TaskSpec) -> None:
        """Refuse also a scale that no value has."""
        if len(task.classes) != 1 or not (math.isfinite(task.center) and 0 < task.scale < math.inf):
            raise ValueError(
                f"{self.name} has one quantity, a finite center and a scale above 0, "
                f"not {list(task.classes)}, {task.center} and {task.scale}"
            )

    def require_classes(self, classes: Sequence[str]) -> None:
        """Refuse anything but the name of one quantity."""
        if len(classes) != 1:
            raise ValueError(f"{self.name} has one quantity, not {list(classes)}")

    def standardise(self, values: Sequence[float]) -> tuple[float, float]:
        """Return mean and standard deviation: what a logit of 0 and a step of 1 stand for."""
        if min(values) == max(values):
            raise ValueError(f"every value of train is {values[0]:g}, so there is nothing to learn")
        center, spread = statistics.fmean(values), statistics.pstdev(values)
        if spread < LEAST_SPREAD * abs(center):
            raise ValueError(
                f"the values differ by {spread:.3g} around {center:.6g}, too little for float32: take off a constant"
            )
        return center, spread

    def why_no_score(self, truths: Sequence[str]) -> str | None:
        """Return that the values are the same in float32, in which they are learnt."""
        if len({np.float32(float(truth)) for truth in truths}) > 1:
            return None
        return "val has one value only, which no score can tell apart: give it more images"

    def encode(self, texts: Sequence[str], classes: Sequence[str]) -> Array:
        """Return the values (N)."""
        try:
            values = np.array([float(text) for text in texts], dtype=np.float64)
        except ValueError as error:
            raise ValueError(f"must be a number: {error}") from None
        if not np.isfinite(values).all():
            raise ValueError(f"{texts[int(np.argmin(np.isfinite(values)))]!r} is no finite number")
        return values

    def decode(self, decision: Any, classes: Sequence[str]) -> float:
        """Return the value."""
        return float(decision)

    def interpret(self, logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
        """Return no probabilities (N x 0), and the value in the unit of the training (N)."""
        return logits[:, :0], logits[:, 0] * task.scale + task.center

    def answer(self, probabilities: NDArray[np.float32], decision: Any, task: TaskSpec) -> Decision | Measurement:
        """Return the value."""
        return Measurement(value=float(decision))

    def column(self, targets: Tensor) -> Tensor:
        """Return the values (N) of targets of N x 1."""
        return targets[:, 0]

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return zeros: a value is as far from another as any."""
        return np.zeros(len(probabilities), dtype=np.float32)

    def changed(self, before: NDArray[Any], after: NDArray[Any], task: TaskSpec, most: float) -> NDArray[np.bool_]:
        """Return which pictures have a value whose logit is more than `most` apart."""
        return np.asarray(np.abs(before - after) > most * task.scale)

    def wrongness(self, rows: Rows) -> Array:
        """Return the distance of the values."""
        return np.abs(rows.predicted_values - rows.target_values)

    def why_undefined(self, rows: Rows, positive: str | None) -> dict[str, str]:
        """Return the reasons: all values are the same, the true or the decided ones."""
        values = set(rows.target_values.tolist())
        equal = f"every value is {min(values):g}"
        return {"r2": equal, "pearson": equal if len(values) == 1 else "every image was given the same value"}

    def describe(self, classes: Sequence[str]) -> str:
        """Return that it is a number."""
        return "a number"


KIND = Regression()
