"""The columns of a table, and what a cell of a label column holds: one label, several labels, or a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from ..kinds import Truth
from ..near import near
from ..spec import JOINT
from .dataset_index import Sample
from .naming import nfc

LABEL_COLUMNS: tuple[Truth, ...] = get_args(Truth)
COLUMNS = ("path", *LABEL_COLUMNS, "group", "split", "weight")
LARGEST = float(np.finfo(np.float32).max)  # what figures and the network can hold
_NOWHERE = Path()


def column_names(columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return by our name of a column what the table calls it; None for one that is left out.

    Raises:
        ValueError: A name is none of ours, or the paths are left out.
    """
    # The command line reads 3 as a number.
    names = {str(name): None if own is None else nfc(str(own)) for name, own in columns.items()}
    for name in names:
        if name not in COLUMNS:
            raise ValueError(
                f"data.columns maps {name!r}{near(name, COLUMNS)}, which is no column of Graft's: "
                f"choose from {', '.join(COLUMNS)}"
            )
        if name == "path" and names[name] is None:
            raise ValueError("data.columns leaves out path, without which no row can be used")
    return names


def read_label(row: str, cell: str, column: Truth, classes: Sequence[str] | None = None) -> Sample:
    """Return a sample with the label, labels or value of a cell, without a path; `label` is the first of several.

    Args:
        row: Where the cell is, for errors.
        cell: One label; labels with `JOINT` between them, or nothing for none; or a number.
        column: Which of these.
        classes: The labels that there are; None takes any.

    Raises:
        ValueError: The cell holds nothing that can be learnt.
    """
    if column == "value":
        return Sample(_NOWHERE, cell, value=_number(row, cell))
    if column == "label":
        if not cell:
            raise ValueError(f"{row} has no label: fill it in or remove the row")
        return Sample(_NOWHERE, _known(row, cell, classes))
    names = tuple(dict.fromkeys(name.strip() for name in cell.split(JOINT))) if cell else ()
    if "" in names:
        raise ValueError(f"{row} has an empty label in {cell!r}: put {JOINT} between labels only")
    return Sample(_NOWHERE, names[0] if names else "", labels=tuple(_known(row, name, classes) for name in names))


def names_of(sample: Sample) -> tuple[str, ...]:
    """Return the labels of a sample, one or several."""
    return (sample.label,) if sample.labels is None else sample.labels


def _known(row: str, label: str, classes: Sequence[str] | None) -> str:
    if classes is not None and label not in classes:
        raise ValueError(
            f"{row} has the unknown label {label!r}{near(label, classes)}: data.classes are {', '.join(classes)}"
        )
    return label


def _number(row: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:  # nor is NaN
        raise ValueError(
            f"{row} has the value {cell!r}: give a number with a decimal point, at most 3.4e38, or remove the row"
        )
    return value
