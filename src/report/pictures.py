"""Pictures that are embedded in a page: thumbnails, and the images with the worst decisions."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass

from PIL import Image

from ..edge.preprocess import ImageError, decode
from ..kinds import find_kind
from .predictions import Predictions

SIDE = 160
MOST = 12


def thumbnail(path: str | os.PathLike[str], bit_depth: int) -> str | None:
    """Return the `data:` address of a JPEG, at most `SIDE` pixels a side, or None when the image cannot be opened.

    Args:
        path: The image file.
        bit_depth: What white is in grey images, as in `ImageSpec`.
    """
    try:
        image = Image.fromarray(decode(path, bit_depth))
    except ImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


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
    # The path comes last, so that equal scores have one order on any machine.
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
