"""A table with one row an image: path and label, labels or value, and, where known, group, split and weight."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..absent import NO_TABLE, no_table_root
from ..kinds import Truth, names_that_learn
from ..near import near
from ..spec import JOINT
from .categories import by_range, by_rarest, require_unlike
from .checks import require_learnable, require_one_spelling, require_whole_groups
from .datamodule import ImageData
from .dataset_index import DatasetIndex, Sample
from .label_columns import COLUMNS, LABEL_COLUMNS, LARGEST, column_names, names_of, read_label
from .naming import SPLIT_NAMES, nfc, positive_class, spelled_on_disk
from .rows import Cell, Odd, read_rows, require_table


class TableData(ImageData):
    """Images that a CSV or Parquet file lists.

    Columns: `path` of the image inside `root`; `label`, its class, or `labels`, any number of them between `JOINT`, or
    `value`, a number; and optionally `group` (its images never part), `split` (train, val, test, calibration; val may
    be called valid or validation) and `weight` (how much the image counts in the training's loss, relative to 1). An
    empty group, split or weight is one that is not given. Images without a split count as
    train, and a val or test that no row names is cut from train.
    """

    def __init__(
        self,
        table: str | os.PathLike[str] | None,
        root: str | os.PathLike[str] | None = None,
        columns: Mapping[str, str | None] | None = None,
        classes: Sequence[str] | None = None,
        positive: str | None = None,
        target: Truth | None = None,
        **options: Any,
    ) -> None:
        """Point to the table.

        Args:
            table: The file.
            root: Folder that the paths are relative to; the table's own by default.
            columns: What the table calls our columns, where it differs: `{path: file, label: class}`; None for a column
                that is not to be used.
            classes: The labels in the order of the target index, where others are mistakes; by default all labels,
                sorted.
            positive: The class that counts as the defect, with two classes; as `FolderData`.
            target: What is learnt, `label`, `labels` or `value`; by default the one that the table has.
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: There is no such file or folder, or the mapping or the target is none of ours.
        """
        super().__init__(**options)
        if table is None:
            raise ValueError(NO_TABLE)
        self.table = Path(table).expanduser()
        require_table(self.table)
        self.root = self.table.parent if root is None else Path(root).expanduser()
        if not self.root.is_dir():
            raise ValueError(no_table_root(self.root))
        self._mapping = column_names(columns or {})
        if target is not None and target not in LABEL_COLUMNS:
            raise ValueError(
                f"unknown data.target={target!r}{near(target, LABEL_COLUMNS)}: choose one of {', '.join(LABEL_COLUMNS)}"
            )
        self._target = target
        self._classes = None if classes is None else tuple(nfc(str(name)) for name in classes)
        self._wanted = positive
        self._spelled: dict[Path, dict[str, str]] = {}

    def read(self) -> DatasetIndex:
        """List the images of a training.

        Raises:
            ValueError: As `read_lot`; or a group is in two splits, all values are the same, there is one class only, or
                a class has no row in train.
        """
        index, rows = self._list()
        require_whole_groups(index.samples, rows)
        if index.target == "value":
            require_unlike(index.samples)
            return index
        found = set(index.classes)
        if self._classes is None:
            require_one_spelling(index.classes, f"{self.table} has the labels")
        classes = self._classes or index.classes
        if len(classes) < 2:
            shown = f"one class only ({classes[0]})" if classes else "no label in any row"
            several = index.target == "labels"
            what = "name the others too, or list one class an image in a column label" if several else ""
            raise ValueError(f"{self.table} has {shown}: {what or 'add rows with another label'}")
        require_learnable(index.samples, "correct the label, give training images of it, or remove its rows")
        unseen = [name for name in classes if name not in found]
        if unseen:
            raise ValueError(f"class {unseen[0]!r} of data.classes has no row in train: add some, or leave it out")
        if index.target == "labels":
            return replace(index, classes=classes)
        positive, ordered = positive_class(classes, self._wanted), self._classes is not None
        return replace(index, classes=classes, positive=positive, ordered=ordered)

    def read_lot(self) -> DatasetIndex:
        """List images to judge a finished model by.

        Raises:
            ValueError: A column or a row is unusable; the message names it.
        """
        return self._list()[0]

    def _list(self) -> tuple[DatasetIndex, list[str]]:
        """Return the images, and where the user finds each of them."""
        present, rows = read_rows(self.table)
        names = self._names(present)
        place = Path(os.path.abspath(self.root))  # a link keeps its name, wherever it leads
        column = self._label_column(names, present)
        self._spelled.clear()
        samples = [self._sample(number, self._own(number, cells, names), place, column) for number, cells in rows]
        # Rows are numbered as the user's spreadsheet does, for every message below.
        numbers = [number for number, _ in rows]
        _require_distinct(zip(numbers, samples, strict=True))
        classes = (
            ("value",) if column == "value" else tuple(sorted({name for each in samples for name in names_of(each)}))
        )
        shared = {"value": by_range, "labels": by_rarest}.get(column, list)(samples)
        return DatasetIndex(self.table.stem, self.root, tuple(shared), classes, None), [
            f"row {number}" for number in numbers
        ]

    def _label_column(self, names: Mapping[str, str], present: Sequence[str]) -> Truth:
        """Return what is learnt: what was asked for, or the only one that the table has."""
        found = [name for name in LABEL_COLUMNS if name in names]
        if not found or (self._target or found[0]) not in names:
            name = self._target or "label"
            raise ValueError(
                f"{self.table} has no column {name!r}{near(name, present)} but {', '.join(present)}: "
                f"say which is the {name} by 'data.columns={{{name}: NAME}}'"
            )
        if self._target is None and len(found) > 1:
            raise ValueError(
                f"{self.table} has the columns {' and '.join(found)}: say which is learnt by data.target={found[0]}"
            )
        return self._target or found[0]

    def _names(self, present: Sequence[str]) -> dict[str, str]:
        """Return what the table calls each of our columns that it has."""
        asked = {name: self._mapping.get(name, name) for name in COLUMNS}
        names = {name: own for name, own in asked.items() if own is not None}
        missing = [name for name in names if names[name] not in present and (name == "path" or name in self._mapping)]
        if missing:
            name = missing[0]
            raise ValueError(
                f"{self.table} has no column {names[name]!r}{near(names[name], present)} but {', '.join(present)}: "
                f"say which is the {name} by 'data.columns={{{name}: NAME}}'"
            )
        return {name: own for name, own in names.items() if own in present}

    def _own(self, number: int, cells: Mapping[str, Cell], names: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row by our names of the columns, as text."""
        row = f"row {number} of {self.table}"
        return {name: _text(cells[own], name, row, own) for name, own in names.items()}

    def _sample(self, number: int, cells: Mapping[str, str], place: Path, column: Truth) -> Sample:
        """Return the image of a row; `place` is the absolute root."""
        row, split = f"row {number} of {self.table}", cells.get("split", "")
        labelled = read_label(row, cells[column], column, self._classes)
        if split and split.lower() not in SPLIT_NAMES:
            raise ValueError(
                f"{row} has the unknown split {split!r}{near(split.lower(), SPLIT_NAMES)}: "
                "choose train, val, test or calibration, or leave it empty"
            )
        path = self._path(row, cells["path"], place)
        weight = _weight(row, cells.get("weight", ""))
        group = cells.get("group", "") or None
        return replace(labelled, path=path, split=SPLIT_NAMES.get(split.lower()), group=group, weight=weight)

    def _path(self, row: str, cell: str, place: Path) -> Path:
        if not cell:
            raise ValueError(f"{row} has no path: fill it in or remove the row")
        found = Path(os.path.normpath(place / cell))
        if not found.is_relative_to(place):
            raise ValueError(
                f"{row}: {cell} leads out of {self.root}: set data.root=DIR to a folder that holds all images"
            )
        if not found.is_file():
            found = spelled_on_disk(place, found.relative_to(place), self._spelled)
        if not found.is_file():
            problem = "is no file" if found.exists() else "is not there"
            raise ValueError(f"{row}: {self.root / cell} {problem}: correct the path, or set data.root=DIR")
        return self.root / found.relative_to(place)


def _text(cell: Cell, name: str, row: str, own: str) -> str:
    """Return a cell as text, several labels with `JOINT` between them.

    Raises:
        ValueError: It is none, or a list where one text is needed.
    """
    if isinstance(cell, tuple) and name == "labels" and not any(JOINT in label for label in cell):
        return nfc(JOINT.join(cell))
    if isinstance(cell, tuple) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, str):
        return cell if name == "path" else nfc(cell)
    what = cell.kind if isinstance(cell, Odd) else f"a list of {len(cell)}"
    lists = isinstance(cell, tuple) and name == "label"
    tasks = " or task=".join(names_that_learn("labels"))
    several = f", or use all of them: 'data.columns={{labels: {own}, label: null}}' task={tasks}" if lists else ""
    raise ValueError(f"{row} has {what} in the column {own}, which is to be the {name}: write one text{several}")


def _weight(row: str, cell: str) -> float:
    try:
        weight = float(cell or 1)
    except ValueError:
        weight = math.nan
    if not 0 < weight <= LARGEST:
        raise ValueError(
            f"{row} has the weight {cell!r}: give a number above 0, no larger than 3.4e38, or leave it empty for 1"
        )
    return weight


def _require_distinct(rows: Iterable[tuple[int, Sample]]) -> None:
    seen: dict[Path, int] = {}
    for number, sample in rows:
        first = seen.setdefault(sample.path, number)
        if first != number:
            raise ValueError(f"rows {first} and {number} name the same image {sample.path}: remove one of them")
