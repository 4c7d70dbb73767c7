"""The pictures that the model got wrong with the most confidence."""

from __future__ import annotations

from dataclasses import dataclass

from src.report.predictions import Predictions
from src.report.thumbnails import thumbnail

MOST = 12


@dataclass(frozen=True)
class Mistake:
    """One wrong decision.

    Attributes:
        path: Path of the image.
        target: The class it belongs to.
        predicted: The class it was taken for.
        score: Probability of the class it was taken for, 0 to 1.
        thumbnail: `data:` address of a JPEG, or None when the image cannot be opened.
    """

    path: str
    target: str
    predicted: str
    score: float
    thumbnail: str | None


def worst_mistakes(predictions: Predictions, most: int = MOST, bit_depth: int = 16) -> list[Mistake]:
    """Return the wrong decisions with the highest scores first, at most `most` of them.

    Args:
        predictions: What was decided about every image.
        most: How many to return.
        bit_depth: What white is in grey images, as in `ImageSpec`.
    """
    decided = predictions.predicted_indices
    wrong = [row for row, right in enumerate(decided == predictions.target_indices) if not right]
    scores = {row: float(predictions.probabilities[row, decided[row]]) for row in wrong}
    wrong.sort(key=lambda row: (-scores[row], predictions.paths[row]))
    return [
        Mistake(
            predictions.paths[row],
            predictions.targets[row],
            predictions.predicted[row],
            scores[row],
            thumbnail(predictions.paths[row], bit_depth),
        )
        for row in wrong[:most]
    ]
