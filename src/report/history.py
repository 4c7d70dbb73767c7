"""`history.csv`: one row of figures per epoch."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

History = dict[str, NDArray[np.float64]]


def read_history(path: Path) -> History:
    """Read every column of `history.csv`, one value per epoch, NaN where the cell is empty.

    Raises:
        ValueError: The file has no `epoch` column, or a cell is not a number.
    """
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if "epoch" not in header or any(len(row) != len(header) for row in rows):
        raise ValueError(f"{path} is not a history of Graft: it needs an epoch column and rows as long as its header")
    return {name: np.array([_cell(path, row[place]) for row in rows]) for place, name in enumerate(header)}


def _cell(path: Path, text: str) -> float:
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError:
        raise ValueError(f"{path} holds {text!r} where a number belongs: train again or mend the file") from None
