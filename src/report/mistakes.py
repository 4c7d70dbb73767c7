"""The images with the worst decisions."""

from __future__ import annotations

from dataclasses import dataclass

from ..kinds import find_kind
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
            labels; the distance of values.
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
    kind = find_kind(predictions.kind)
    scores, far = kind.wrongness(predictions), kind.distance(predictions)
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
