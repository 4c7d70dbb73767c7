"""The images with the worst decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .predictions import Predictions
from .thumbnails import thumbnail

MOST = 12


@dataclass(frozen=True)
class Mistake:
    """One wrong decision.

    Attributes:
        path: Path of the image.
        target: The class it belongs to; its labels or its value.
        predicted: What it was taken for.
        score: Probability of the class it was taken for, 0 to 1; of the surest of the wrong decisions with several
            labels; the distance of the values with regression.
        thumbnail: `data:` address of a JPEG, or None when the image cannot be opened.
    """

    path: str
    target: str
    predicted: str
    score: float
    thumbnail: str | None


def worst_mistakes(predictions: Predictions, most: int = MOST, bit_depth: int = 16) -> list[Mistake]:
    """Return the wrong decisions with the highest scores first, at most `most` of them; of grades the farthest first.

    Args:
        predictions: What was decided about every image.
        most: How many to return.
        bit_depth: What white is in grey images, as in `ImageSpec`.
    """
    scores = _scores(predictions)
    far = _grades_apart(predictions)
    wrong = [row for row, score in enumerate(scores) if score > 0]
    wrong.sort(key=lambda row: (-far[row], -scores[row], predictions.paths[row]))
    return [
        Mistake(
            predictions.paths[row],
            predictions.targets[row],
            predictions.predicted[row],
            float(scores[row]),
            thumbnail(predictions.paths[row], bit_depth),
        )
        for row in wrong[:most]
    ]


def _scores(predictions: Predictions) -> NDArray[np.float64]:
    """Return how wrong each decision is, 0 where it is right."""
    if predictions.kind == "regression":
        return np.abs(predictions.predicted_values - predictions.target_values)
    is_target, is_decided = predictions.target_matrix, predictions.predicted_matrix
    sure = np.where(is_decided, predictions.probabilities, 1 - predictions.probabilities)
    if predictions.kind != "multilabel":
        sure = np.where(is_decided, sure, 0.0)
    return np.asarray(np.where(is_target != is_decided, np.maximum(sure, np.finfo(np.float64).tiny), 0.0).max(axis=1))


def _grades_apart(predictions: Predictions) -> NDArray[np.int64]:
    if predictions.kind != "ordinal":
        return np.zeros(len(predictions), dtype=np.int64)
    return np.asarray(np.abs(predictions.predicted_indices - predictions.target_indices))
