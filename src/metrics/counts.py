"""Counts of right and wrong decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kinds import Rows


@dataclass(frozen=True)
class Outcomes:
    """How many images a two-way decision got right and wrong.

    Attributes:
        found: Positive images that were decided positive.
        missed: Positive images that were let pass.
        alarms: Other images that were decided positive.
        passed: Other images that were let pass.
    """

    found: int
    missed: int
    alarms: int
    passed: int


def confusion(predictions: Rows) -> NDArray[np.int64]:
    """Count images by target (rows) and decision (columns), K x K."""
    size = len(predictions.classes)
    cells = predictions.target_indices * size + predictions.predicted_indices
    return np.bincount(cells, minlength=size * size).astype(np.int64).reshape(size, size)


def outcomes(predictions: Rows, positive: str) -> Outcomes:
    """Count what was found, missed, falsely alarmed and passed, `positive` against the rest."""
    index = predictions.classes.index(positive)
    is_target, is_decided = predictions.target_matrix[:, index], predictions.predicted_matrix[:, index]
    found, called = int((is_target & is_decided).sum()), int(is_decided.sum())
    missed, alarms = int(is_target.sum()) - found, called - found
    return Outcomes(found, missed, alarms, len(predictions) - found - missed - alarms)
