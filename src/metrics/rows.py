"""What figures are made of: the truth about some images, and what was decided about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Rows(Protocol):
    """N judged images over K classes; of the columns, those are asked for that the kind of task has."""

    @property
    def kind(self) -> str:
        """One of `src.spec.KINDS`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or labels, K; with regression the quantity's name alone."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of every class, N x K; N x 0 with regression."""

    @property
    def target_indices(self) -> NDArray[np.int64]:
        """Class of each image, N."""

    @property
    def predicted_indices(self) -> NDArray[np.int64]:
        """Class decided for each image, N."""

    @property
    def target_matrix(self) -> NDArray[np.bool_]:
        """Which classes each image has, N x K."""

    @property
    def predicted_matrix(self) -> NDArray[np.bool_]:
        """Which classes were decided for each image, N x K."""

    @property
    def target_values(self) -> NDArray[np.float64]:
        """Value of each image, N."""

    @property
    def predicted_values(self) -> NDArray[np.float64]:
        """Value decided for each image, N."""

    def __len__(self) -> int:
        """Return N."""


@dataclass(frozen=True, eq=False)
class Decided:
    """Rows as arrays, without names of images.

    Attributes:
        kind: One of `src.spec.KINDS`.
        classes: Names of the classes or labels, K; with regression the quantity's name alone.
        probabilities: Probability of every class, N x K; N x 0 with regression.
        targets: Class indices (N), labels that are there (N x K, 0 or 1) or values (N).
        predicted: What was decided, in the same shape.
    """

    kind: str
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    targets: NDArray[Any]
    predicted: NDArray[Any]

    def __len__(self) -> int:
        """Return N."""
        return len(self.targets)

    @property
    def target_indices(self) -> NDArray[np.int64]:
        """Class of each image, N."""
        return self.targets.astype(np.int64)

    @property
    def predicted_indices(self) -> NDArray[np.int64]:
        """Class decided for each image, N."""
        return self.predicted.astype(np.int64)

    @property
    def target_matrix(self) -> NDArray[np.bool_]:
        """Which classes each image has, N x K."""
        return self._matrix(self.targets)

    @property
    def predicted_matrix(self) -> NDArray[np.bool_]:
        """Which classes were decided for each image, N x K."""
        return self._matrix(self.predicted)

    @property
    def target_values(self) -> NDArray[np.float64]:
        """Value of each image, N."""
        return self.targets.astype(np.float64)

    @property
    def predicted_values(self) -> NDArray[np.float64]:
        """Value decided for each image, N."""
        return self.predicted.astype(np.float64)

    def _matrix(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        several = column.ndim == 2
        return column.astype(np.bool_) if several else column[:, None] == np.arange(len(self.classes))
