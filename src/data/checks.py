"""What every source refuses, whatever its images are listed in."""

from __future__ import annotations

from collections.abc import Sequence

from src.data.aims import names_of
from src.data.listing import Sample
from src.data.naming import near


def require_learnable(samples: Sequence[Sample], remedy: str) -> None:
    """Refuse a class that has images, but none to train on.

    Args:
        samples: All images; where the split is open, it may become train.
        remedy: What the user can do about it.

    Raises:
        ValueError: A class of val or test is not in train.
    """
    trained = {name for sample in samples if sample.split in (None, "train") for name in names_of(sample)}
    for sample in samples:
        for name in names_of(sample):
            if name not in trained:
                raise ValueError(f"class {name!r} is in {sample.split} but not in train{near(name, trained)}: {remedy}")


def require_whole_groups(samples: Sequence[Sample], places: Sequence[str]) -> None:
    """Refuse a group whose images are in several splits; an image without a split counts as train, as in `split`.

    Args:
        samples: All images.
        places: Where the user finds each of them, such as `row 7`.

    Raises:
        ValueError: A group is in two splits.
    """
    seen: dict[str, tuple[str, str]] = {}
    for sample, place in zip(samples, places, strict=True):
        if sample.group is not None:
            split = sample.split or "train"
            other, first = seen.setdefault(sample.group, (split, place))
            if other != split:
                raise ValueError(
                    f"group {sample.group!r} is in two splits, {other} in {first} and {split} in {place} "
                    "(no split counts as train): give all its images one split"
                )
