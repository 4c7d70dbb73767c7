"""Report of a cross-validation: the mean of each metric over the folds, with its 95 % interval."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.stats import t as student

from ..atomic import write_json, write_text
from ..metrics import LABELS, METRICS, headline
from . import formats
from .environment import environment
from .sweep_run import SweepRun

KEY = "data.fold"
TEMPLATE = "folds.html.j2"
NOTE = (
    "Intervals are 95 %, by Student's t over the folds; the folds share training images, so they are rather too narrow "
    "than too wide."
)


@dataclass(frozen=True)
class Merged:
    """The folds of one setting.

    Attributes:
        setting: What was asked for besides the fold, as in `lora.rank=8`; empty for one setting alone.
        count: In how many folds the data are cut; None when no run says it.
        figures: The test figures of each finished fold by its number, in order.
        mean: Mean of each figure over the folds; figures that some fold lacks are left out.
        interval: Its 95 % interval, where the folds differ.
    """

    setting: str
    count: int | None
    figures: dict[int, dict[str, float]]
    mean: dict[str, float]
    interval: dict[str, tuple[float, float]]

    @property
    def missing(self) -> list[int]:
        """The folds that failed or were not asked for."""
        return [fold for fold in range(self.count or 0) if fold not in self.figures]

    @property
    def coverage(self) -> str:
        """Whether each image was tested, in a sentence."""
        if self.count is None:
            return "No run says how many folds there are: images of others may not have been tested."
        if not self.missing:
            return "Each image was in the test split of one fold."
        missing = f"{'fold' if len(self.missing) == 1 else 'folds'} {', '.join(map(str, self.missing))} of {self.count}"
        return f"Incomplete: {missing} missing, whose images were never tested; mean and intervals are of the others."


def merge_folds(runs: Sequence[SweepRun]) -> list[Merged]:
    """Merge the finished runs that differ in `data.fold` alone; one entry a setting, none where no fold was asked for.

    Args:
        runs: The runs of a multirun.
    """
    settings: dict[str, dict[int, dict[str, float]]] = {}
    counts: dict[str, int | None] = {}
    for run in runs:
        if KEY in run.overrides and run.metrics.get("test"):
            others = " ".join(f"{key}={value}" for key, value in sorted(run.overrides.items()) if key != KEY)
            figures = {name: run.figure("test", name) for name in LABELS}
            own = {name: value for name, value in figures.items() if value is not None}
            settings.setdefault(others, {})[int(run.overrides[KEY])] = own
            counts[others] = run.folds
    alone = len(settings) == 1
    return [
        _merge("" if alone else setting, counts[setting], dict(sorted(folds.items())))
        for setting, folds in sorted(settings.items())
        if len(folds) > 1
    ]


def write_folds(folder: Path, merged: Sequence[Merged], console: Console) -> None:
    """Print the merged table, and write it as `folds.json` and `folds.html` into the sweep's folder."""
    labels = {name: label for name, label in LABELS.items() if any(name in item.mean for item in merged)}
    content = [
        {
            "setting": item.setting,
            "count": item.count,
            "missing": item.missing,
            "folds": item.figures,
            "mean": item.mean,
            "interval": item.interval,
        }
        for item in merged
    ]
    write_json(folder / "folds.json", content)
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            folder=folder.name,
            note=NOTE,
            labels=labels,
            merged=merged,
            figure=formats.metric,
            interval=formats.interval,
        )
    )
    write_text(folder / "folds.html", page, errors="replace")
    table = Table(
        title="test figures: mean of the folds (95 % interval)",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
    )
    for heading in ("setting", "folds"):
        table.add_column(heading)
    shown = [name for name in ("accuracy", *headline(dict.fromkeys(labels))) if name in labels]
    for name in shown:
        table.add_column(LABELS[name] if LABELS[name].isupper() else LABELS[name].lower(), justify="right")
    for item in merged:
        cells = [_cell(item, name) for name in shown]
        table.add_row(Text(item.setting or "as given"), f"{len(item.figures)} of {item.count or '?'}", *cells)
    console.print(table)
    for item in merged:
        if item.count is None or item.missing:
            console.print(Text(f"{item.setting or 'as given'}: {item.coverage}", style="yellow"), soft_wrap=True)
    console.print(Text(f"written to {folder / 'folds.html'}"), soft_wrap=True)


def _merge(setting: str, count: int | None, folds: dict[int, dict[str, float]]) -> Merged:
    names = [name for name in LABELS if all(name in figures for figures in folds.values())]
    mean, interval = {}, {}
    for name in names:
        values = [figures[name] for figures in folds.values()]
        mean[name] = statistics.mean(values)
        reach = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
        least, most = METRICS[name].bounds
        if reach:  # folds that agree to the last image say nothing of how far the next would be off
            interval[name] = (max(least, mean[name] - reach), min(most, mean[name] + reach))
    return Merged(setting, count, folds, mean, interval)


def _cell(item: Merged, name: str) -> str:
    if name not in item.mean:
        return formats.MISSING
    ends = formats.interval(name, item.interval.get(name)).removesuffix(" %")
    return f"{formats.metric(name, item.mean[name])}{f' ({ends})' if ends else ''}"
