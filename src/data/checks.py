"""Checks that every source makes of the images that it lists."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from decimal import Decimal

from ..near import near
from .dataset_index import Sample
from .label_columns import names_of

log = logging.getLogger(__name__)


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


def require_one_spelling(names: Sequence[str], where: str) -> None:
    """Refuse two classes that are one number, such as `1` and `1.0`; warn of two that differ in capitals alone.

    Args:
        names: The classes.
        where: Who has them, for the message.

    Raises:
        ValueError: There are such two.
    """
    for reading, stops in ((_number, True), (str.casefold, False)):
        first: dict[object, str] = {}
        for name in names:
            other = first.setdefault(reading(name), name)
            if other != name and stops:
                raise ValueError(
                    f"{where} {other} and {name}, one number in two spellings: write one of them, or name both in "
                    "data.classes"
                )
            if other != name:
                log.warning("%s %s and %s, which count as two classes", where, other, name)


def _number(name: str) -> object:
    return Decimal(name) if re.fullmatch(r"[+-]?\d+(\.\d*)?", name) and not re.match(r"[+-]?0\d", name) else name


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
