"""One of ordered grades a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..spec import TaskSpec
from .classification import Classification
from .kind import Tensor
from .rows import Array, Rows


class Ordinal(Classification):
    """The median grade is decided, which makes the expected distance to the true grade smallest."""

    name = "ordinal"
    ordered = True
    metrics = (*Classification.metrics, "quadratic_kappa", "mean_absolute_error")
    headline = ("quadratic_kappa", "mean_absolute_error")
    remark = " The mean absolute error is in grades; the decision is the median grade."
    mistakes_title = "Farthest misses"

    def why_no_score(self, truths: Sequence[str]) -> str | None:
        """Return that there is one grade: kappa needs two."""
        if len(set(truths)) > 1:
            return None
        return (
            f"every image of val has the grade {truths[0]!r}, so there is no {self.score.replace('_', ' ')} to steer "
            "by: give val images of other grades, or take the source's val split away and one is cut"
        )

    def interpret(self, logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
        """Return probabilities that add up to 1 (N x grades), and the grade at which half of them is reached (N)."""
        probabilities = logits.softmax(dim=1)
        return probabilities, (probabilities[:, :-1].cumsum(dim=1) < 0.5).sum(dim=1)

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far the sums of the grades below are from a half, the nearest of them."""
        return np.asarray(np.abs(probabilities[:, :-1].cumsum(axis=1) - 0.5).min(axis=1))

    def distance(self, rows: Rows) -> Array:
        """Return the distance in grades."""
        return np.abs(rows.predicted_values - rows.target_values)

    def describe(self, classes: Sequence[str]) -> str:
        """Return how many grades there are."""
        return f"{len(classes)} grades"


KIND = Ordinal()
