"""Compare fine structure and colour of two aligned pictures: large light and dark areas alone are no evidence.

An affine map and a tone curve make any two smooth pictures agree, such as two machined surfaces under one lamp. What
tells them apart is what is left when the smooth part is gone: the same grain block by block, or another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from ...edge.preprocess import Pixels

SIDE = 256
MARGIN, BLOCK = 24, 16  # in pixels of the look
# Between two blurs, structures of up to 1/16 of the picture, and what the blocks must correlate by.
FINE = (((0.7, 1.5), 0.6), ((1.5, 3.0), 0.75))
COARSE = (3.0, 12.0)
FLOOR = 0.5  # grey levels of a block's structure, below which it is rounding
SHARE = 0.05  # of the blocks that must have structure in both pictures
PART = 0.25  # of the blocks that may correlate less: copies agree everywhere, other grain at the edges of bands alone
ALIKE = 0.6
# Compression weakens fine grain: the rest must still correlate, and coarse structure must agree.
BLURRED, BORNE_OUT = 0.6, 0.94
RICH = 2.5  # independent patterns that a smooth picture needs: straight bands have one or two, soft spots three
CLIP = 1.5  # standard deviations of a block, so that an edge does not count for all of it
STEPS = 6
TINGED, COLOUR = 4.0, 0.7  # chroma in grey levels that is compared at all, and its least cosine
_CHROMA_SIDE = 16

Grey = NDArray[np.float32]
Affine = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Look:
    """What is compared of a picture: grey levels (`SIDE` x `SIDE`), and small maps of its two colour differences."""

    grey: Grey
    chroma: Grey


def look(pixels: Pixels) -> Look:
    """Return what is compared of a picture."""
    image = Image.fromarray(pixels)
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    small = image.convert("YCbCr").resize((_CHROMA_SIDE, _CHROMA_SIDE), Image.Resampling.BOX)
    chroma = np.asarray(small, dtype=np.float32)[:, :, 1:] - 128
    return Look(np.asarray(grey, dtype=np.float32), chroma)


def same_detail(one: Look, other: Look, moved: Affine) -> bool:
    """Return whether two pictures share fine structure and colour, or are equal pixel by pixel.

    Args:
        one: A picture.
        other: Another one.
        moved: How `other` is laid over `one`, as `src.data.quality.alignment.match` gives it.
    """
    if np.array_equal(one.grey, other.grey) and np.array_equal(one.chroma, other.chroma):
        return True
    if not _same_colour(one.chroma, other.chroma):
        return False
    starts = (np.zeros((2, 3)), moved * SIDE)
    fine = []
    for band, least in FINE:
        for proof in _proofs(_band(one.grey, band), _band(other.grey, band), starts):
            if proof >= least:
                return True
            fine.append(proof)
    if fine and max(fine) < BLURRED:
        return False
    left, right = _band(one.grey, COARSE), _band(other.grey, COARSE)
    rich = min(_patterns(left), _patterns(right)) >= RICH
    least = BORNE_OUT if fine else ALIKE
    return rich and any(proof >= least for proof in _proofs(left, right, starts))


def _same_colour(one: Grey, other: Grey) -> bool:
    """Return whether the colours agree; a grey picture agrees with any."""
    sizes = [float(np.sqrt((chroma**2).mean())) for chroma in (one, other)]
    return min(sizes) < TINGED or float((one * other).mean()) >= COLOUR * sizes[0] * sizes[1]


def _band(grey: Grey, band: tuple[float, float]) -> Grey:
    fine, smooth = (gaussian_filter(grey, sigma) for sigma in band)
    structure: Grey = fine - smooth
    return structure


def _proofs(left: Grey, right: Grey, starts: Sequence[Affine]) -> Iterator[float]:
    """Yield how well the blocks correlate as the pictures lie, and after each map is refined on their structure.

    Nothing is yielded where too few blocks have structure in both pictures.
    """
    for moved in starts:
        yield from _proof(left, right, moved)
    for moved in starts:
        yield from _proof(left, right, _refine(left, right, moved))


def _proof(left: Grey, right: Grey, moved: Affine) -> Iterator[float]:
    pair = _blocks(_inner(left)), _blocks(_warp(right, moved))
    told = np.minimum(*(blocks.std(axis=1) for blocks in pair)) > FLOOR
    if told.mean() >= SHARE:
        one, other = (_clip(blocks[told]) for blocks in pair)
        yield float(np.quantile((one * other).mean(axis=1), PART))


def _clip(blocks: Grey) -> Grey:
    """Return each block with mean 0 and standard deviation 1, what stands out cut off."""
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    most = CLIP * np.median(np.abs(centred), axis=1, keepdims=True) / 0.6745
    cut = np.clip(centred, -most, most)
    scaled: Grey = (cut - cut.mean(axis=1, keepdims=True)) / (cut.std(axis=1, keepdims=True) + 1e-6)
    return scaled


def _refine(left: Grey, right: Grey, moved: Affine) -> Affine:
    """Return the affine map that lays `right` over `left` best, near the one that is given (Lucas & Kanade 1981)."""
    slopes = np.gradient(right)
    target = _inner(left).ravel()
    for _ in range(STEPS):
        at = _places(moved)
        down, across, seen = (map_coordinates(part, at, order=1, mode="nearest") for part in (*slopes, right))
        terms = np.concatenate([down * _BASE, across * _BASE])
        gain = float((seen * target).sum() / ((seen**2).sum() + 1e-6))
        wanted = target / gain - seen if gain > 0.2 else target - seen
        step = np.linalg.lstsq(terms @ terms.T + 1e-3 * np.eye(6), terms @ wanted, rcond=None)[0].reshape(2, 3)
        moved = moved + np.clip(step, -2, 2)
        if np.abs(moved).max() > MARGIN:
            return np.zeros((2, 3))
        if np.abs(step).max() < 0.05:
            break
    return moved


def _patterns(band: Grey) -> float:
    """Return how many independent patterns of rows and columns make up a picture (participation ratio)."""
    energy = np.linalg.svd(band[::4, ::4], compute_uv=False) ** 2
    return float(energy.sum() ** 2 / ((energy**2).sum() + 1e-12))


_ROWS, _COLUMNS = (axis[MARGIN:-MARGIN, MARGIN:-MARGIN].ravel() for axis in np.mgrid[0:SIDE, 0:SIDE].astype(np.float32))
_BASE = np.stack([np.ones_like(_ROWS), 2 * _COLUMNS / SIDE - 1, 2 * _ROWS / SIDE - 1])


def _places(moved: Affine) -> NDArray[np.float64]:
    return np.stack([_ROWS + moved[0] @ _BASE, _COLUMNS + moved[1] @ _BASE])


def _inner(grey: Grey) -> Grey:
    return grey[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _warp(grey: Grey, moved: Affine) -> Grey:
    side = SIDE - 2 * MARGIN
    warped: Grey = map_coordinates(grey, _places(moved), order=1, mode="nearest").reshape(side, side)
    return warped


def _blocks(grey: Grey) -> Grey:
    """Return the whole blocks, one a row."""
    count = len(grey) // BLOCK
    cut = grey[: count * BLOCK, : count * BLOCK]
    return cut.reshape(count, BLOCK, count, BLOCK).swapaxes(1, 2).reshape(count * count, BLOCK * BLOCK)
