"""Parse and validate views: flips and quarter turns of an image whose logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence

from ..choices import parse_views
from ..spec import QUARTER_TURNS, ImageSpec


def read_views(wanted: object, image: ImageSpec) -> tuple[str, ...]:
    """Return the views that a user names.

    Args:
        wanted: What was given for `views`.
        image: The network's input.

    Raises:
        ValueError: As `parse_views` and `require_turnable`.
    """
    views = parse_views(wanted)
    require_turnable(views, image)
    return views


def require_turnable(views: Sequence[str], image: ImageSpec) -> None:
    """Refuse views that the shape of the network's input does not allow.

    Raises:
        ValueError: One is a quarter turn, and the input is not square.
    """
    height, width = image.size
    turned = [view for view in views if view in QUARTER_TURNS]
    if turned and height != width:
        raise ValueError(
            f"views {', '.join(turned)} turn a picture of {height} x {width} pixels, and only square ones can be: "
            "choose views=[identity,horizontal,vertical,both] or fewer, or train with a square data.image_size"
        )
