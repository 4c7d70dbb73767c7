"""Statistics of a decoded image: size, mode, brightness, sharpness and a perceptual hash."""

from __future__ import annotations

from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...edge.preprocess import Picture

IMAGE_STATS = np.dtype(
    [
        ("width", "<u4"),
        ("height", "<u4"),
        ("mode", "S8"),  # Pillow's name for how the file holds its pixels
        ("frames", "<u4"),  # pages or frames, of which the first is used
        ("brightest", "<u2"),  # largest level of grey of more than 8 bits, as stored; else 0
        ("brightness", "<f4"),  # mean grey, 0 to 1
        ("sharpness", "<f4"),  # variance of the Laplacian of grey levels 0 to 255
        ("hash", "<u8"),  # pHash: the signs of the lowest 8 x 8 frequencies of a 32 x 32 thumbnail
    ]
)
_SIDE = 512  # a larger picture is reduced first, so that sharpness does not depend on the number of pixels alone


def measure(picture: Picture) -> NDArray[Any]:
    """Return the statistics of one picture, a record of `IMAGE_STATS`."""
    height, width = picture.pixels.shape[:2]
    image = Image.fromarray(picture.pixels).convert("L")
    bits = np.packbits(imagehash.phash(image).hash)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = np.asarray(image, dtype=np.float32)
    told = (width, height, picture.mode, picture.frames, picture.brightest)
    values = (*told, grey.mean() / 255, _sharpness(grey), int(bits.view(">u8")[0]))
    return np.array(values, dtype=IMAGE_STATS)


def _sharpness(grey: NDArray[np.float32]) -> float:
    padded = np.pad(grey, 1, mode="edge")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float((neighbours - 4 * grey).var())
