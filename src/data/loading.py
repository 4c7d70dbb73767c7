"""The options that every source shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict

from ..spec import ImageSpec
from .broken import OnError
from .transforms import Augment


class Loading(TypedDict, total=False):
    """Options that every source shares; `ImageData` explains them and holds the defaults."""

    image: Required[ImageSpec]
    image_size: int | Sequence[int] | None
    crop_pct: float | None
    crop_mode: str | None
    bit_depth: int | None
    batch_size: int
    num_workers: int
    split_seed: int
    seed: int
    limit: int | None
    on_error: OnError
    allow: str | Sequence[str]
    augment: Augment
    val_fraction: float
    test_fraction: float
    folds: int | None
    fold: int | None
    split_file: str | None
    cache_dir: str | None
    balanced: bool
