"""The rows of a CSV or Parquet file, as text wherever they can be."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..absent import no_table
from ..package import install_line
from .naming import nfc


@dataclass(frozen=True)
class Odd:
    """A cell that no text can stand for, by its kind."""

    kind: str


Cell = str | tuple[str, ...] | Odd  # text, a list of texts, or neither
Row = tuple[int, dict[str, Cell]]  # its number for the user, and its cells by column


def read_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Read a table; spaces around a cell are dropped, and a missing value is the empty text.

    Columns without a name are left out: spreadsheets leave them at the right, and pandas writes its index as one.

    Args:
        path: A CSV file (UTF-8, commas, or what a first line `sep=;` names) whose first row names the columns, or a
            Parquet file.

    Returns:
        The columns, and the rows that are not blank. A CSV's rows are numbered as a spreadsheet does, the header being
        row 1; a Parquet file has no header, and its first row is 1.

    Raises:
        ValueError: The file is missing, of another kind, damaged, or pyarrow is not installed.
    """
    require_table(path)
    readers = {".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ValueError(f"the table {path} is neither .csv nor .parquet: save it as one of them")
    columns, rows = readers[path.suffix.lower()](path)
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"the table {path} has the column {twice[0]!r} twice: rename one of them")
    if not rows:
        raise ValueError(f"the table {path} has no rows: give one row an image")
    return columns, rows


def require_table(path: Path) -> None:
    """Refuse a table that is not there.

    Raises:
        ValueError: It is not.
    """
    if not path.is_file():
        raise ValueError(no_table(path))


def _csv(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            said = re.fullmatch(r"""\s*["']?sep=(.)["']?\s*""", file.readline())  # Excel's own, which it does not count
            if said is None:
                file.seek(0)
            reader = csv.reader(file, delimiter="," if said is None else said[1], strict=True)
            lines: list[list[str]] = []
            lines += ([cell.strip() for cell in line] for line in reader)  # those before a fault stay
    except UnicodeDecodeError as error:
        raise ValueError(f"the table {path} is not UTF-8 ({error}): save it as CSV UTF-8") from error
    except csv.Error as error:  # a quote that is not closed would take the rows behind it for one cell
        raise ValueError(
            f"row {len(lines) + 1} of {path} cannot be read ({error}): put a cell that holds a quote between double "
            "quotes, and write it twice"
        ) from error
    columns = tuple(map(nfc, lines[0])) if lines else ()
    if len(columns) == 1 and any(other in columns[0] for other in ";\t"):
        raise ValueError(f"the columns of {path} are not parted by commas: save it as CSV with commas")
    rows: list[Row] = []
    for number, cells in enumerate(lines[1:], start=2):
        if any(cells[len(columns) :]):
            raise ValueError(
                f"row {number} of {path} has {len(cells)} cells for {len(columns)} columns: "
                "put a cell that holds a comma between double quotes"
            )
        if any(cells):
            filled = [*cells, *[""] * (len(columns) - len(cells))]
            rows.append((number, {name: cell for name, cell in zip(columns, filled, strict=False) if name}))
    return tuple(filter(None, columns)), rows


def _parquet(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ValueError(f"reading Parquet needs pyarrow: run {install_line('hub')}, or save it as CSV") from error
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"the table {path} is no Parquet file ({' '.join(str(error).split())}): write it anew"
        ) from error
    rows = [{nfc(name): _cell(value) for name, value in row.items()} for row in table.to_pylist()]
    numbered = [(number, row) for number, row in enumerate(rows, start=1) if any(row.values())]
    return tuple(map(nfc, table.column_names)), numbered


def _cell(value: Any) -> Cell:
    if value is None or value != value:  # NaN stands for a missing value in a column of numbers
        return ""
    if isinstance(value, list):
        cells = [_cell(each) for each in value if each is not None]
        texts = tuple(cell for cell in cells if isinstance(cell, str))
        return texts if len(texts) == len(cells) else Odd("a list of lists or records")
    if isinstance(value, dict):
        return Odd("a record")
    if isinstance(value, bytes):
        try:
            return value.decode().strip()
        except UnicodeDecodeError:
            return Odd("bytes")
    return str(value).strip()
