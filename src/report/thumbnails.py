"""Thumbnails that are embedded in a page."""

from __future__ import annotations

import base64
import io
import os

from PIL import Image

from ..edge.preprocess import ImageError, decode

SIDE = 160


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
