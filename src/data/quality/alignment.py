"""Align two pictures to test whether one is a copy of the other: resized, slightly cropped or re-exposed.

The second picture is laid over the first by an affine map and a tone curve, both fitted by least squares
(Lucas & Kanade 1981; Baker & Matthews, IJCV 2004), and what is left is averaged over small blocks, which forgets grain
and compression. Products of one line look alike to a 64-bit hash, and not to this: of 4,446 pairs of ELPV's solar cells
within 8 bits the closest leaves 0.057 of its contrast, while copies of a cell leave 0.015 (JPEG, quality 60), 0.015
(2 % cut off each side), 0.019 (turned by 1.5 degrees) and 0.011 (blurred), medians of 60.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from ...edge.preprocess import Pixels

SIDE = 64
MARGIN = 5  # what an alignment may push out of the picture, in pixels of the thumbnail
BLOCK = 4
STEPS = 8
SAME, GRAIN = 0.05, 0.35  # largest remainder: as part of the contrast, and in grey levels where contrast is low

Thumbnail = NDArray[np.uint8]
Grey = NDArray[np.float32]
Affine = NDArray[np.float64]
_INNER = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
_ROWS, _COLUMNS = (axis[_INNER].ravel() for axis in np.mgrid[0:SIDE, 0:SIDE].astype(np.float32))
# A shift, and what grows along each axis: the three columns of an affine map.
_BASE = np.stack([np.ones_like(_ROWS), 2 * _COLUMNS / SIDE - 1, 2 * _ROWS / SIDE - 1])


def thumbnail(pixels: Pixels) -> Thumbnail:
    """Return what is compared of a picture: grey, `SIDE` x `SIDE`."""
    return np.asarray(Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def match(one: Thumbnail, other: Thumbnail) -> Affine | None:
    """Lay one thumbnail over another, up to a small affine map, the exposure and compression.

    Returns:
        None where they show unlike pictures, else the map, 2 x 3: how far down and across each point of `one` is moved
        in `other`, in parts of the side, by a constant and by the point's own place from -1 to 1, across and down.
    """
    left, right = _smooth(one), _smooth(other)
    found = _align(left, right)
    if found is None:
        return None
    inner, (aligned, moved) = left[_INNER].ravel(), found
    # A curve that clips has no inverse, so either picture may be the one that the curve is laid on.
    alike = any(_is_small(*pair) for pair in ((inner, aligned), (aligned, inner)))
    return moved / SIDE if alike else None


def _smooth(picture: Thumbnail) -> Grey:
    smoothed: Grey = gaussian_filter(picture.astype(np.float32), 1.0)
    return smoothed


def _align(left: Grey, right: Grey) -> tuple[Grey, Affine] | None:
    """Return the inner pixels of `right` laid over those of `left`, and the map, or None where they do not meet."""
    slopes = np.gradient(right)
    moved = np.zeros((2, 3))
    moved[:, 0] = _shift(left, right)
    target = left[_INNER].ravel()
    for _ in range(STEPS):
        at = np.stack([_ROWS + moved[0] @ _BASE, _COLUMNS + moved[1] @ _BASE])
        down, across, grey = (map_coordinates(part, at, order=1, mode="nearest") for part in (*slopes, right))
        terms = np.concatenate([down * _BASE, across * _BASE, [grey, np.ones_like(grey)]])
        fitted = np.linalg.lstsq(terms @ terms.T + 1e-3 * np.eye(8), terms @ target, rcond=None)[0]
        step = np.clip(fitted[:6].reshape(2, 3) / max(float(fitted[6]), 0.2), -2, 2)
        moved += step
        if np.abs(moved).max() > MARGIN + 1:
            return None
        if np.abs(step).max() < 0.02:
            break
    at = np.stack([_ROWS + moved[0] @ _BASE, _COLUMNS + moved[1] @ _BASE])
    return map_coordinates(right, at, order=1, mode="nearest"), moved


def _shift(left: Grey, right: Grey, most: int = 4) -> tuple[int, int]:
    """Return the whole pixels by which `right` correlates best with `left`."""
    spectrum = np.fft.rfft2(left - left.mean()) * np.conj(np.fft.rfft2(right - right.mean()))
    near = np.r_[0 : most + 1, -most:0]
    found = np.fft.irfft2(spectrum, s=left.shape)[np.ix_(near, near)]
    row, column = np.unravel_index(found.argmax(), found.shape)
    return -int(near[row]), -int(near[column])


def _is_small(source: Grey, target: Grey) -> bool:
    """Return whether a cubic tone curve of `source` leaves little of `target`."""
    scaled = (source - source.mean()) / (source.std() + 1e-6)
    powers = np.stack([np.ones_like(scaled), scaled, scaled**2, scaled**3])
    curve = np.linalg.lstsq(powers.T, target, rcond=None)[0] @ powers
    left, contrast = _blocks(curve - target), float(_blocks(target).std())
    return float(np.sqrt((left**2).mean())) <= max(SAME * contrast, GRAIN)


def _blocks(values: Grey) -> Grey:
    side = SIDE - 2 * MARGIN
    whole = side // BLOCK * BLOCK
    cut = values.reshape(side, side)[:whole, :whole]
    means: Grey = cut.reshape(whole // BLOCK, BLOCK, whole // BLOCK, BLOCK).mean(axis=(1, 3))
    return means
