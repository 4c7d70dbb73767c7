"""The options that every source of images takes: how its images are split and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..edge.preprocess import MAX_PIXELS
from ..spec import ImageSpec
from .broken import STOPPING, OnError
from .quality.gate import allowed_kinds
from .splits import Fold
from .splitting import Splitting
from .transforms import Augment, none

_PLAIN = none()


@dataclass(frozen=True)
class DataOptions:
    """How the images of a source are split and loaded; `conf/data` states what a training chooses of it.

    Attributes:
        image: The backbone's input.
        image_size: Height and width in place of the backbone's, in pixels: one number for both, or two.
        crop_pct: Crop in place of the backbone's.
        crop_mode: Crop mode in place of the backbone's.
        bit_depth: White in grey of more than 8 bits is 2**bit_depth - 1, in place of the backbone's.
        batch_size: Images in a batch.
        num_workers: Processes that prepare batches; 0 prepares them in the main one.
        split_seed: Decides the splits.
        seed: Decides the order of training and the augmentation.
        limit: Use only so many images, for a quick run; every class stays in each split.
        on_error: What a broken image does. `auto` leaves it out of training and stops evaluation, `skip` leaves it out
            everywhere, `stop` stops everywhere.
        allow: Findings of the data gate that are known and stop no training, some of `src.data.quality.STOPS`.
        augment: Random change of training images, see `src.data.transforms`.
        val_fraction: Part of the images outside test and calibration that becomes val, where the source has no split.
        test_fraction: Part of the images that becomes test, where the source has no split.
        calibration_fraction: Part of the images outside test that becomes calibration; neither trained nor validated
            on, it certifies thresholds alone. 0 cuts none.
        folds: Cut so many test splits that share no image, and take one of them in place of `test_fraction`.
        fold: Which one, from 0.
        split_file: Keep the splits there: later runs extend them, and no old image ever moves.
        cache_dir: Folder for decoded images, which later runs share; None decodes them anew in every epoch.
        balanced: Draw every class equally often in training, images of a rare one several times an epoch.
    """

    image: ImageSpec
    image_size: int | Sequence[int] | None = None
    crop_pct: float | None = None
    crop_mode: str | None = None
    bit_depth: int | None = None
    batch_size: int = 32
    num_workers: int = 0
    split_seed: int = 0
    seed: int = 0
    limit: int | None = None
    on_error: OnError = "auto"
    allow: str | Sequence[str] = ()
    augment: Augment = _PLAIN
    val_fraction: float = 0.15
    test_fraction: float = 0.25
    calibration_fraction: float = 0.0
    folds: int | None = None
    fold: int | None = None
    split_file: str | None = None
    cache_dir: str | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: A value is.
        """
        if self.on_error not in STOPPING:
            raise ValueError(f"unknown on_error {self.on_error!r}: choose one of {', '.join(STOPPING)}")
        for name, least in (("batch_size", 1), ("num_workers", 0), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"data.{name}={value} must be {least} or more")
        if (self.folds is None) != (self.fold is None):
            raise ValueError("data.folds and data.fold belong together: folds=5 fold=0 is the first of five")

    def image_spec(self) -> ImageSpec:
        """Return how a picture becomes the network's input: the backbone's way, with what was chosen in its place.

        Raises:
            ValueError: A value is out of range.
        """
        chosen: dict[str, Any] = {
            "size": None if self.image_size is None else input_size(self.image_size),
            **{name: getattr(self, name) for name in ("crop_pct", "crop_mode", "bit_depth")},
        }
        return replace(self.image, **{name: value for name, value in chosen.items() if value is not None})

    def allowed(self) -> tuple[str, ...]:
        """Return the findings that stop no training.

        Raises:
            ValueError: As `allowed_kinds`.
        """
        return allowed_kinds(self.allow)

    def cache(self) -> Path | None:
        """Return the folder for what is worth keeping between runs, or None."""
        return None if self.cache_dir is None else Path(self.cache_dir).expanduser()

    def splitting(self) -> Splitting:
        """Return what decides the splits.

        Raises:
            ValueError: There is no such fold, or the file would keep what folds cut.
        """
        # Both or none of them is set, as `__post_init__` has checked.
        fold = None if self.folds is None or self.fold is None else Fold(self.folds, self.fold)
        file = None if self.split_file is None else Path(self.split_file).expanduser()
        return Splitting(self.split_seed, self.val_fraction, self.test_fraction, fold, file, self.calibration_fraction)


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
