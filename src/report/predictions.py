"""`predictions.csv`: what the model said about every image, one row each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..spec import JOINT

SPLITS = ("train", "val", "test")
COLUMNS = ("path", "split", "target", "predicted")
PREFIX = "p_"
SUM_TOLERANCE = 1e-3  # a float16 softmax still adds up to 1 within this


@dataclass(frozen=True, eq=False)
class Predictions:
    """Targets, decisions and probabilities of N images over K classes, or their values.

    Attributes:
        paths: Path of each image, N; opens from the repository's root.
        splits: Split of each image, one of `SPLITS`, N.
        targets: Class name of each image, N; several labels are joined by `JOINT`, a value is written as a number.
        predicted: What was decided about each image, in the same way, N.
        probabilities: Probability of every class, N x K, rows of one class an image add up to 1; N x 0 with regression.
        classes: Class names in the order of the columns, K; with regression the quantity's name alone.
        kind: One of `src.spec.KINDS`.
    """

    paths: tuple[str, ...]
    splits: tuple[str, ...]
    targets: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    kind: str = "classification"

    def __post_init__(self) -> None:
        """Refuse rows that do not belong together."""
        valued = self.kind == "regression"
        if not valued and (len(self.classes) < 2 or len(set(self.classes)) != len(self.classes)):
            raise ValueError(f"predictions need at least two classes with different names, not {list(self.classes)}")
        images = [len(column) for column in (self.paths, self.splits, self.targets, self.predicted)]
        shape = self.probabilities.shape
        if len(set(images)) != 1 or shape != (len(self.paths), 0 if valued else len(self.classes)):
            raise ValueError(
                f"{images} paths, splits, targets and decisions do not fit probabilities of shape {shape} over "
                f"{len(self.classes)} classes: give one of each per image"
            )
        _refuse_unknown("split", self.splits, SPLITS)
        for column, texts in (("target", self.targets), ("predicted", self.predicted)):
            if valued:
                _numbers(column, texts)
            else:
                names = [name for text in texts for name in self._names(text)]
                _refuse_unknown(column, tuple(names), self.classes)
        self._refuse_improbable()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def target_indices(self) -> NDArray[np.int64]:
        """Column of each image's target, N."""
        return self._indices(self.targets)

    @property
    def predicted_indices(self) -> NDArray[np.int64]:
        """Column of each image's decision, N."""
        return self._indices(self.predicted)

    @property
    def target_matrix(self) -> NDArray[np.bool_]:
        """Which classes each image has, N x K."""
        return self._matrix(self.targets)

    @property
    def predicted_matrix(self) -> NDArray[np.bool_]:
        """Which classes were decided for each image, N x K."""
        return self._matrix(self.predicted)

    @property
    def target_values(self) -> NDArray[np.float64]:
        """Value of each image, N, with regression."""
        return _numbers("target", self.targets)

    @property
    def predicted_values(self) -> NDArray[np.float64]:
        """Value decided for each image, N, with regression."""
        return _numbers("predicted", self.predicted)

    def of(self, split: str) -> Predictions:
        """Return the rows of one split, in their order."""
        return self.take([row for row, name in enumerate(self.splits) if name == split])

    def take(self, rows: Iterable[int]) -> Predictions:
        """Return the rows with these numbers, in that order, repeats included."""
        rows = list(rows)
        columns = (self.paths, self.splits, self.targets, self.predicted)
        paths, splits, targets, predicted = (tuple(column[row] for row in rows) for column in columns)
        return Predictions(paths, splits, targets, predicted, self.probabilities[rows], self.classes, self.kind)

    def _indices(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        position = {name: index for index, name in enumerate(self.classes)}
        return np.array([position[name] for name in names], dtype=np.int64)

    def _names(self, text: str) -> list[str]:
        if self.kind != "multilabel":
            return [text]
        return text.split(JOINT) if text else []

    def _matrix(self, texts: tuple[str, ...]) -> NDArray[np.bool_]:
        position = {name: index for index, name in enumerate(self.classes)}
        matrix = np.zeros((len(texts), len(self.classes)), dtype=np.bool_)
        for row, text in enumerate(texts):
            matrix[row, [position[name] for name in self._names(text)]] = True
        return matrix

    def _refuse_improbable(self) -> None:
        inside = (self.probabilities >= 0) & (self.probabilities <= 1)  # NaN is on neither side
        one = self.kind in ("classification", "ordinal")
        sums = np.abs(self.probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE if one else np.True_
        wrong = np.flatnonzero(~(inside.all(axis=1) & sums))
        if wrong.size:
            row = int(wrong[0])
            raise ValueError(
                f"probabilities of {self.paths[row]!r} are {self.probabilities[row].tolist()}: they must lie between "
                "0 and 1 and add up to 1, give softmax outputs and look for NaN in the training"
            )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions` as CSV, whole or not at all; `read_predictions` gives the same numbers back, bit for bit."""
    names = "".join([*predictions.paths, *predictions.classes])
    # the csv module leaves a lone carriage return bare, and a reader would take it for the end of the row
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if "\r" in names else csv.QUOTE_MINIMAL)
    writer.writerow([*COLUMNS, *(PREFIX + name for name in _columns(predictions.kind, predictions.classes))])
    columns = (predictions.paths, predictions.splits, predictions.targets, predictions.predicted)
    for *texts, row in zip(*columns, predictions.probabilities.tolist(), strict=True):
        writer.writerow([*texts, *row])
    # a file name on Linux may hold bytes that are no UTF-8: keep them, the path must still open
    write_text(path, buffer.getvalue(), errors="surrogateescape")


def read_predictions(path: Path, kind: str = "classification") -> Predictions:
    """Read what `write_predictions` wrote about a task of this kind.

    Raises:
        ValueError: The file is not a predictions file; the message names the file and the line.
    """
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            return _parse(csv.reader(file, strict=True), kind)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a predictions file of Graft: {error}") from error


def _parse(reader: Iterable[list[str]], kind: str) -> Predictions:
    rows = iter(reader)
    header = next(rows, [])
    classes = tuple(name.removeprefix(PREFIX) for name in header[len(COLUMNS) :])
    if header != [*COLUMNS, *(PREFIX + name for name in classes)]:
        raise ValueError(f"its first line must be {','.join(COLUMNS)},{PREFIX}<class>..., not {','.join(header)!r}")
    texts: list[list[str]] = []
    numbers: list[list[float]] = []
    for line, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {line} has {len(row)} columns in place of {len(header)}, write the file again")
        texts.append(row[: len(COLUMNS)])
        numbers.append([_number(value, line) for value in row[len(COLUMNS) :]])
    if not texts:
        raise ValueError("it has no rows, run train or evaluate again")
    paths, splits, targets, predicted = zip(*texts, strict=True)
    if kind == "regression":
        classes = classes or ("value",)
    return Predictions(paths, splits, targets, predicted, np.array(numbers), classes, kind)


def _columns(kind: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    return () if kind == "regression" else classes


def _numbers(column: str, texts: tuple[str, ...]) -> NDArray[np.float64]:
    try:
        values = np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{column} must be a number: {error}") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{column} {texts[int(np.argmin(np.isfinite(values)))]!r} is no finite number")
    return values


def _number(text: str, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"row {line} has {text!r} where a probability belongs, write the file again") from None


def _refuse_unknown(column: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{column} {unknown[0]!r} is unknown: it must be one of {', '.join(known)}")
