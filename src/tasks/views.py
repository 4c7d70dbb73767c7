"""Parse and validate views: flips and quarter turns of an image whose logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence

from ..near import near
from ..spec import QUARTER_TURNS, VIEWS, ImageSpec


def read_views(wanted: object, image: ImageSpec) -> tuple[str, ...]:
    """Return the views that a user names.

    Args:
        wanted: What was given for `views`.
        image: The network's input.

    Raises:
        ValueError: It is no list of different views, or as `require_turnable`.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Sequence) or not wanted:
        given = "null" if wanted is None else wanted
        raise ValueError(f"views={given} is no list of views: write 'views=[identity]', or more of {', '.join(VIEWS)}")
    views = tuple(map(str, wanted))
    for place, name in enumerate(views):
        if name not in VIEWS:
            known = f"{', '.join(VIEWS)}; both is a half turn"
            raise ValueError(f"there is no view {name!r}{near(name, VIEWS)}: choose from {known}")
        if name in views[:place]:
            raise ValueError(f"views names {name} twice, and each costs a forward pass: name it once")
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
