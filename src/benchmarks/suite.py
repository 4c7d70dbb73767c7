"""What a suite is, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


def failure(error: Exception) -> Row:
    """Return what stands in the row of a measurement that failed: why, on one line."""
    return {"error": " ".join(str(error).split()) or type(error).__name__}


@dataclass(frozen=True)
class Options:
    """What to measure, and how long.

    Attributes:
        models: timm names; empty for the suite's own.
        methods: Names of the suite's methods; empty for all.
        precisions: Names of the suite's precisions; empty for all.
        steps: Timed repetitions; None for the suite's own number.
        batch: Images in a batch; None for the suite's own number.
        image_size: Height and width of an image in pixels.
        images: Numbers of images in a data set; empty for the suite's own.
        datasets: Names of data sets; empty for the suite's own.
        datasets_root: Folder of data sets, each a folder of class folders; None for the suite's own.
        seeds: Seeds of repeated trainings; empty for the suite's own.
        epochs: Epochs of a training; None for the suite's own number.
        limit: Use only so many images of a data set, for a quick run.
        weights: Weights of the models: `auto`, `none` or a path, as `backbone.weights`.
        done: Rows that an earlier benchmark left in the same folder, which need not be measured again.
    """

    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    steps: int | None = None
    batch: int | None = None
    image_size: int = 224
    images: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()
    datasets_root: str | None = None
    seeds: tuple[int, ...] = ()
    epochs: int | None = None
    limit: int | None = None
    weights: str = "auto"
    done: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be measured."""
        given = [("image_size", self.image_size), *(("images", count) for count in self.images)]
        optional = [(name, getattr(self, name)) for name in ("steps", "batch", "epochs", "limit")]
        for name, value in [*given, *((name, value) for name, value in optional if value is not None)]:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: give a whole number of at least 1")
        for seed in self.seeds:
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                raise ValueError(f"seeds={seed!r}: give whole numbers of at least 0")


@dataclass(frozen=True)
class Column:
    """One column of a suite's table: the figure's key in a row, its heading, and how it is written."""

    key: str
    heading: str
    write: Callable[[Any], str]


@dataclass(frozen=True)
class Summary:
    """What follows from the rows of a suite.

    Attributes:
        facts: More keys of `benchmark.json`.
        lines: For people, under the table.
        page: HTML, or nothing.
    """

    facts: Row = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    page: str = ""


def _no_summary(options: Options, rows: Sequence[Row], machine: Mapping[str, Any]) -> Summary:
    return Summary()


@dataclass(frozen=True)
class Suite:
    """One benchmark.

    Attributes:
        run: Measures and gives the rows, at once or one by one; a part that fails is a row with an `error`.
        columns: The figures of the table for people; the rows may hold more.
        notes: How to read the figures, a sentence each.
        labels: The keys that tell the rows apart.
        options: The fields of `Options` that it follows.
        summarise: Says what follows from the rows so far, on which machine.
        code: Modules of this folder that decide the figures; empty where that is the one of `run`. Where rows are
            resumed, the pages about them are not among these.
    """

    run: Callable[[Options], Iterable[Row]]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    labels: tuple[str, ...] = ("model", "method", "precision")
    options: tuple[str, ...] = ("models", "methods", "precisions", "steps", "batch", "image_size")
    summarise: Callable[[Options, Sequence[Row], Mapping[str, Any]], Summary] = _no_summary
    code: tuple[str, ...] = ()


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
