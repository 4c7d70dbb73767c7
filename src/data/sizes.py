"""Height and width of the network's input, as people write them."""

from __future__ import annotations

from collections.abc import Sequence

from ..edge.preprocess import MAX_PIXELS


def input_size(asked: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width: a number is both.

    Raises:
        ValueError: It is neither a whole number above 0 nor two of them, or more pixels than any picture has.
    """
    sides = tuple(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else (asked, asked)
    whole = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides)
    if len(sides) != 2 or not whole:
        raise ValueError(f"data.image_size={asked} must be a number of pixels such as 224, or [height,width]")
    if sides[0] * sides[1] > MAX_PIXELS:
        raise ValueError(f"data.image_size={asked} is more than the {MAX_PIXELS:,} pixels that a picture may have")
    return sides[0], sides[1]
