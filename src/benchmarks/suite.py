"""What a suite is, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What to measure, and how long.

    Attributes:
        models: timm names; empty for the suite's own.
        methods: Names of the suite's methods; empty for all.
        precisions: Names of the suite's precisions; empty for all.
        steps: Timed repetitions of which the median is taken.
        batch: Images in a batch; None for the suite's own number.
        image_size: Height and width of an image in pixels.
        images: Numbers of images in a data set; empty for the suite's own.
    """

    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    steps: int = 20
    batch: int | None = None
    image_size: int = 224
    images: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be measured."""
        numbers = [("steps", self.steps), ("batch", self.batch), ("image_size", self.image_size)]
        for name, value in [*numbers, *(("images", count) for count in self.images)]:
            if name == "batch" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: give a whole number of at least 1")


@dataclass(frozen=True)
class Column:
    """One column of a suite's table: the figure's key in a row, its heading, and how it is written."""

    key: str
    heading: str
    write: Callable[[Any], str]


@dataclass(frozen=True)
class Suite:
    """One benchmark.

    Attributes:
        run: Measures and returns the rows; a part that fails is a row with an `error`.
        columns: The figures of the table for people; the rows may hold more.
        notes: How to read the figures, a sentence each.
        labels: The keys that tell the rows apart.
        options: The fields of `Options` that it follows.
    """

    run: Callable[[Options], list[Row]]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    labels: tuple[str, ...] = ("model", "method", "precision")
    options: tuple[str, ...] = ("models", "methods", "precisions", "steps", "batch", "image_size")


def choose(option: str, asked: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return what was asked for, or all that is known.

    Raises:
        ValueError: A name is unknown.
    """
    names = tuple(known)
    for name in asked:
        if name not in names:
            raise ValueError(f"{option}={name} is unknown: choose from {', '.join(names)}")
    return tuple(asked) or names
