"""What metrics are computed from: the truth about some images, and what was decided about each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Rows(ABC):
    """N judged images over K classes.

    Attributes:
        kind: Name of the kind of task.
        classes: Names of the classes or labels, K; of a value the quantity's name alone.
        probabilities: Probability of every class, N x K; N x 0 of values.
    """

    kind: str
    classes: tuple[str, ...]
    probabilities: Array

    @property
    @abstractmethod
    def target_column(self) -> NDArray[Any]:
        """The truth in the form of the decisions: class indices (N), labels that are there (N x K) or values (N)."""

    @property
    @abstractmethod
    def predicted_column(self) -> NDArray[Any]:
        """What was decided, in the same form."""

    def __len__(self) -> int:
        """Return N."""
        return len(self.target_column)

    @property
    def target_indices(self) -> NDArray[np.int64]:
        """Class of each image, N."""
        return self.target_column.astype(np.int64)

    @property
    def predicted_indices(self) -> NDArray[np.int64]:
        """Class decided for each image, N."""
        return self.predicted_column.astype(np.int64)

    @property
    def target_matrix(self) -> NDArray[np.bool_]:
        """Which classes each image has, N x K."""
        return self._matrix(self.target_column)

    @property
    def predicted_matrix(self) -> NDArray[np.bool_]:
        """Which classes were decided for each image, N x K."""
        return self._matrix(self.predicted_column)

    @property
    def target_values(self) -> Array:
        """Value of each image, or its place among the grades, N."""
        return self.target_column.astype(np.float64)

    @property
    def predicted_values(self) -> Array:
        """Value decided for each image, or the place of its grade, N."""
        return self.predicted_column.astype(np.float64)

    def _matrix(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        several = column.ndim == 2
        return column.astype(np.bool_) if several else column[:, None] == np.arange(len(self.classes))


@dataclass(frozen=True, eq=False)
class Decided(Rows):
    """Rows as arrays, without names of images.

    Attributes:
        kind: Name of the kind of task.
        classes: Names of the classes or labels, K; of a value the quantity's name alone.
        probabilities: Probability of every class, N x K; N x 0 of values.
        targets: Class indices (N), labels that are there (N x K, 0 or 1) or values (N).
        predicted: What was decided, in the same form.
    """

    kind: str
    classes: tuple[str, ...]
    probabilities: Array
    targets: NDArray[Any]
    predicted: NDArray[Any]

    @property
    def target_column(self) -> NDArray[Any]:
        """The truth."""
        return self.targets

    @property
    def predicted_column(self) -> NDArray[Any]:
        """What was decided."""
        return self.predicted
