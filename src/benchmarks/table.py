"""A suite's rows as a table, in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from .suite import Row, Suite

MISSING = "\N{EN DASH}"


def markdown(
    name: str, suite: Suite, machine: Mapping[str, Any], rows: Sequence[Row], lines: Sequence[str] = ()
) -> str:
    """Write the page of a benchmark: machine, table, errors, the lines of its summary, and notes."""
    headings = [*suite.labels, *(column.heading for column in suite.columns)]
    cells = [headings, ["---"] * len(suite.labels) + ["---:"] * len(suite.columns)]
    cells += [_cells(row, suite, suite.labels) for row in rows]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells)
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    notes = "\n".join(f"- {note}" for note in (*errors(suite, rows), *lines, *suite.notes))
    return f"# Benchmark: {name}\n\n{facts}\n\n{table}\n\n{notes}\n"


def terminal(suite: Suite, rows: Sequence[Row]) -> Table:
    """Return the table for a terminal of 100 columns; a label that all rows share stands in its title."""
    labels = [label for label in suite.labels if len(rows) < 2 or len({row[label] for row in rows}) > 1]
    shared = ", ".join(f"{label} {rows[0][label]}" for label in suite.labels if label not in labels)
    table = Table(
        title=Text(shared) if shared else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=0
    )
    for label in labels:
        table.add_column(label, overflow="fold")
    for column in suite.columns:
        table.add_column(column.heading.replace(" / ", "\n/"), justify="right")
    for place, row in enumerate(rows):
        last = place + 1 == len(rows) or _group(rows[place + 1]) != _group(row)
        table.add_row(*map(Text, _cells(row, suite, labels)), end_section=last)
    return table


def errors(suite: Suite, rows: Sequence[Row]) -> list[str]:
    """Return a line for every row that could not be measured."""
    return [f"{', '.join(str(row[label]) for label in suite.labels)}: {row['error']}" for row in rows if "error" in row]


def ratio(value: float) -> str:
    """Write a quotient with two decimals."""
    return f"{value:.2f}"


def count(value: int) -> str:
    """Write a whole number with commas between thousands."""
    return f"{value:,}"


def _cells(row: Row, suite: Suite, labels: Sequence[str]) -> list[str]:
    figures = [(column, row.get(column.key)) for column in suite.columns]
    return [
        *(str(row[label]) for label in labels),
        *(MISSING if value is None else column.write(value) for column, value in figures),
    ]


def _group(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(label) for label in ("model", "precision", "dataset", "seed"))
