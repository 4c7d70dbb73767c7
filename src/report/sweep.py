"""The table of a multirun: every run a row, the best first."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from ..atomic import write_text
from ..metrics import LABELS, headline
from . import formats
from .folds import merge_folds, write_folds
from .sweep_run import SweepRun, read_runs

WRITTEN = ("trainable_parameters", "adapter_bytes", "train_seconds")
SHORT = {"balanced_accuracy": "bal. acc.", "auroc": "AUROC", "mean_absolute_error": "mean abs. error", "r2": "R2"}
COSTS: dict[str, Callable[[Any], str]] = {"adapter_bytes": formats.size, "train_seconds": formats.duration}


def write_table(folder: Path, console: Console) -> None:
    """Print the table of a sweep's folder and write it there as `runs.csv` and `runs.md`; folds are merged besides.

    Runs are ordered by their headline figure on the validation split (balanced accuracy with one class an image), never
    by the test split. A failed run is a row too.
    """
    runs = read_runs(folder)
    keys = _swept_keys(runs)
    write_text(folder / "runs.csv", _csv(runs, keys))
    cells = _cells(runs, keys)
    write_text(folder / "runs.md", _markdown(cells))
    console.print(_table(cells, 1 + len(keys)))
    console.print(Text(f"written to {folder / 'runs.csv'}"), soft_wrap=True)
    merged = merge_folds(runs)
    if merged:
        write_folds(folder, merged, console)


def _swept_keys(runs: list[SweepRun]) -> list[str]:
    """Return the keys that tell the runs apart, in the order they were asked for."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides)
    return [key for key in keys if len({run.overrides.get(key) for run in runs if run.overrides}) > 1]


def _csv(runs: list[SweepRun], keys: list[str]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    wanted = [(split, name) for split in ("val", "test") for name in _headline(runs)]
    writer.writerow(["run", *keys, *(f"{split}_{name}" for split, name in wanted), *WRITTEN, "error"])
    for run in runs:
        figures = [run.figure(split, name) for split, name in wanted]
        costs = [run.metrics.get(name) for name in WRITTEN]
        writer.writerow([run.name, *(run.overrides.get(key, "") for key in keys), *figures, *costs, run.error])
    return buffer.getvalue()


def _cells(runs: list[SweepRun], keys: list[str]) -> list[list[str]]:
    """Return the head and the rows for people, without test figures: nobody should choose by them.

    The column of errors is there when a run failed.
    """
    names = _headline(runs)
    measures = [*(f"val {SHORT.get(name, LABELS[name].lower())}" for name in names), "adapter", "time"]
    failed = any(run.error for run in runs)
    cells = [["run", *keys, *measures, *["error"] * failed]]
    for run in runs:
        asked = [run.name, *(run.overrides.get(key, "") for key in keys)]
        cells.append([*asked, *(_measures(run, names) or [""] * len(measures)), *[run.error] * failed])
    return cells


def _headline(runs: list[SweepRun]) -> tuple[str, str]:
    return headline(next((run.metrics["val"] for run in runs if run.metrics.get("val")), {}))


def _measures(run: SweepRun, names: tuple[str, str]) -> list[str]:
    if run.error:
        return []
    figures = [formats.metric(name, run.figure("val", name)) for name in names]
    costs = [(run.metrics.get(name), write) for name, write in COSTS.items()]
    return [*figures, *(formats.MISSING if cost is None else write(cost) for cost, write in costs)]


def _markdown(cells: list[list[str]]) -> str:
    head, *rows = cells
    marked = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in marked)


def _table(cells: list[list[str]], asked: int) -> Table:
    """Build the table; its first `asked` columns say what was asked for, the rest are figures."""
    head, *rows = cells
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(head):
        error = name == "error"
        justify: JustifyMethod = "left" if error or place < asked else "right"
        table.add_column(Text(name), justify=justify, no_wrap=not error, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
