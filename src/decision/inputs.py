"""Check what is given to be judged, before a number is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = NDArray[np.int64]
Names = Sequence[Any] | NDArray[Any]
SMALLEST_RATE = 1e-9
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Judged:
    """Scored pictures whose truth is known.

    Attributes:
        scores: How likely each is defective, N; infinities stand for certainty.
        is_defect: Which are, N.
        groups: Number of each picture's group from 0 on, N; None where every picture is a draw of its own.
    """

    scores: Scores
    is_defect: Mask
    groups: Groups | None

    @property
    def unit(self) -> str:
        """Return what is drawn: `image` or `group`."""
        return "image" if self.groups is None else "group"


def judged(scores: ArrayLike, is_defect: ArrayLike, groups: Names | None) -> Judged:
    """Return checked scores and truth.

    Raises:
        ValueError: They have another form, or all scores are equal.
    """
    values, truth = as_scores(scores), as_mask(is_defect, "is_defect")
    same_length(values, is_defect=truth)
    numbers = None if groups is None else as_groups(groups, len(values))
    if values.min() == values.max():
        raise ValueError(f"all {len(values)} scores are equal: no threshold parts good from bad; is the model trained?")
    return Judged(values, truth, numbers)


def as_scores(values: ArrayLike, what: str = "scores") -> Scores:
    """Return numbers as a row of float64; infinities may stand in it.

    Raises:
        ValueError: They are no row of numbers, none at all, NaN, or beyond what a camera's float32 holds.
    """
    numbers = _numbers(values, what)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{what} must be a row of at least one number, not of shape {numbers.shape}")
    if bad := int(np.isnan(numbers).sum()):
        raise ValueError(f"{bad} of {len(numbers)} {what} are NaN: find the pictures that give them before you go on")
    if bool((np.isfinite(numbers) & (np.abs(numbers) >= LARGEST)).any()):
        raise ValueError(f"{what} reach {LARGEST:.3g}, the largest float32, which the camera compares in")
    return numbers


def as_table(values: ArrayLike, columns: int | None, what: str = "probabilities") -> Scores:
    """Return numbers as N x K of float64, all finite.

    Raises:
        ValueError: They are of another shape, none at all, NaN or beyond what a camera's float32 holds.
    """
    numbers = _numbers(values, what)
    if numbers.ndim != 2 or 0 in numbers.shape or columns not in (None, numbers.shape[1]):
        wanted = "pictures x columns" if columns is None else f"pictures x {columns}"
        raise ValueError(f"{what} must be {wanted}, not of shape {numbers.shape}")
    if bad := int((~(np.abs(numbers) < LARGEST)).any(axis=1).sum()):
        raise ValueError(f"{bad} of {len(numbers)} pictures have {what} that are NaN or infinite: find them first")
    return numbers


def as_mask(values: ArrayLike, what: str) -> Mask:
    """Return yes and no as booleans.

    Raises:
        ValueError: Something is neither true nor false, 1 nor 0.
    """
    array = np.asarray(values)
    if array.dtype != np.bool_ and not (array.dtype.kind in "iuf" and np.isin(array, (0, 1)).all()):
        raise ValueError(f"{what} must be true or false, or 1 or 0, for every picture")
    return array.astype(np.bool_)


def as_groups(values: Names, images: int, what: str = "group") -> Groups:
    """Return the number of each picture's group, or class, from 0 on, in the order in which they come.

    Raises:
        ValueError: A picture has none, or one that is no name.
    """
    try:
        names = values.tolist() if isinstance(values, np.ndarray) else list(values)
        missing = sum(name is None or name == "" or name != name for name in names)
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    except TypeError:
        raise ValueError(f"a {what} must be a text or a number, one for every picture") from None
    if len(names) != images:
        raise ValueError(f"there are {images} pictures, and {len(names)} have a {what}: give one for every picture")
    if missing:
        raise ValueError(f"{missing} of {images} pictures have no {what}: name each one's, or leave out all")
    return np.array([numbers[name] for name in names], dtype=np.int64)


def as_rate(value: float, name: str) -> float:
    """Return a rate or a confidence.

    Raises:
        ValueError: It is not a number above 0 and below 1, or so small that nobody has the pictures to prove it.
    """
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not SMALLEST_RATE <= value < 1:
        raise ValueError(f"{name}={value} must be above 0 and below 1, such as 0.05 for 5 %")
    return float(value)


def as_threshold(value: float, name: str) -> float:
    """Return a threshold as the camera holds it.

    Raises:
        ValueError: It is no finite float32, which the camera would round to another number.
    """
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not abs(value) <= LARGEST or float(np.float32(value)) != float(value):
        raise ValueError(f"{name}={value} must be a finite float32: round it with numpy.float32 first")
    return float(value)


def same_length(values: NDArray[Any], **others: NDArray[Any]) -> None:
    """Refuse what is no row of as many as there are pictures in `values`.

    Raises:
        ValueError: A shape differs.
    """
    for name, other in others.items():
        if other.shape != values.shape[:1]:
            raise ValueError(f"there are {len(values)} pictures, and {name} has the shape {other.shape}: give a row")


def _numbers(values: ArrayLike, what: str) -> Scores:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iufb":
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be numbers") from None
    return array.astype(np.float64)
