"""Profiles: the input of a bundle's network, and how a decoded picture is converted to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec import ImageSpec
from .preprocess import Pixels, require_picture, resize

_GREY = (0.299, 0.587, 0.114)
Fit = Callable[[Pixels, ImageSpec], NDArray[Any]]


def normalised(pixels: Pixels, image: ImageSpec) -> NDArray[np.float32]:
    """Resize and normalise a picture.

    Returns:
        Channels x H x W, float32: (x / 255 - mean) / std; of one channel the grey (ITU-R BT.601).
    """
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (image.mean, image.std))
    colours = resize(pixels, image).transpose(2, 0, 1).astype(np.float32)
    if len(mean) == 1:
        colours = np.tensordot(np.array(_GREY, np.float32), colours, axes=1)[None]
    return np.ascontiguousarray((colours / np.float32(255) - mean) / std, dtype=np.float32)


def as_taken(pixels: Pixels, image: ImageSpec) -> Pixels:
    """Return the picture unchanged: the graph resizes it.

    Raises:
        ImageError: As `require_picture`.
    """
    require_picture(pixels, image)
    return pixels


FITS: dict[str, Fit] = {"u8": resize, "u8-resize": as_taken, "u8-matmul": as_taken, "float": normalised}
