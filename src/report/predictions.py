"""`predictions.csv`: what the model said about every image, one row each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..kinds import Rows, find_kind

SPLITS = ("train", "val", "test", "calibration")
COLUMNS = ("path", "split", "target", "predicted")
PREFIX = "p_"
SUM_TOLERANCE = 1e-3  # a float16 softmax still adds up to 1 within this


@dataclass(frozen=True, eq=False)
class Predictions(Rows):
    """Targets, decisions and probabilities of N images over K classes, or their values.

    Attributes:
        paths: Path of each image, N; opens from the repository's root.
        splits: Split of each image, one of `SPLITS`, N.
        targets: Class name of each image, N; several labels are joined, a value is written as a number.
        predicted: What was decided about each image, in the same way, N.
        probabilities: Probability of every class, N x K, rows of one class an image add up to 1; N x 0 of values.
        classes: Class names in the order of the columns, K; of a value the quantity's name alone.
        kind: Name of the kind of task.
        groups: Name of each image's group, None of an image without one, N; empty where no groups are known. They are
            not written.
    """

    paths: tuple[str, ...]
    splits: tuple[str, ...]
    targets: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    kind: str
    groups: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows that do not belong together."""
        kind = find_kind(self.kind)
        kind.require_classes(self.classes)
        images = [len(column) for column in (self.paths, self.splits, self.targets, self.predicted)]
        shape = self.probabilities.shape
        if len(set(images)) != 1 or shape != (len(self.paths), len(kind.probability_names(self.classes))):
            raise ValueError(
                f"{images} paths, splits, targets and decisions do not fit probabilities of shape {shape} over "
                f"{len(self.classes)} classes: give one of each per image"
            )
        _refuse_unknown("split", self.splits, SPLITS)
        for name in ("target", "predicted"):
            try:
                getattr(self, f"{name}_column")
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        self._refuse_improbable()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @cached_property
    def target_column(self) -> NDArray[Any]:
        """The targets in the form of the decisions, see `Kind.encode`."""
        return find_kind(self.kind).encode(self.targets, self.classes)

    @cached_property
    def predicted_column(self) -> NDArray[Any]:
        """The decisions, see `Kind.encode`."""
        return find_kind(self.kind).encode(self.predicted, self.classes)

    def of(self, split: str) -> Predictions:
        """Return the rows of one split, in their order."""
        return self.take([row for row, name in enumerate(self.splits) if name == split])

    def take(self, rows: Iterable[int]) -> Predictions:
        """Return the rows with these numbers, in that order, repeats included."""
        rows = list(rows)
        columns = (self.paths, self.splits, self.targets, self.predicted)
        paths, splits, targets, predicted = (tuple(column[row] for row in rows) for column in columns)
        groups = tuple(self.groups[row] for row in rows) if self.groups else ()
        return Predictions(paths, splits, targets, predicted, self.probabilities[rows], self.classes, self.kind, groups)

    def _refuse_improbable(self) -> None:
        inside = (self.probabilities >= 0) & (self.probabilities <= 1)  # NaN is on neither side
        exclusive = find_kind(self.kind).is_exclusive
        sums = np.abs(self.probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE if exclusive else np.True_
        wrong = np.flatnonzero(~(inside.all(axis=1) & sums))
        if wrong.size:
            row = int(wrong[0])
            raise ValueError(
                f"probabilities of {self.paths[row]!r} are {self.probabilities[row].tolist()}: they must lie between "
                "0 and 1 and add up to 1, give softmax outputs and look for NaN in the training"
            )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions` as CSV, whole or not at all; `float` of a number there gives it back, bit for bit."""
    names = "".join([*predictions.paths, *predictions.classes])
    # The csv module does not quote a lone carriage return, which readers take for the end of the row.
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if "\r" in names else csv.QUOTE_MINIMAL)
    columns = find_kind(predictions.kind).probability_names(predictions.classes)
    writer.writerow([*COLUMNS, *(PREFIX + name for name in columns)])
    rows = (predictions.paths, predictions.splits, predictions.targets, predictions.predicted)
    for *texts, row in zip(*rows, predictions.probabilities.tolist(), strict=True):
        writer.writerow([*texts, *row])
    # a file name on Linux may hold bytes that are no UTF-8: keep them, the path must still open
    write_text(path, buffer.getvalue(), errors="surrogateescape")


def _refuse_unknown(column: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{column} {unknown[0]!r} is unknown: it must be one of {', '.join(known)}")
