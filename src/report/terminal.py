"""The short table at the end of a training, and what to run next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..metrics import LABELS
from . import formats
from .about import About

SPLIT_NAMES = {"val": "validation", "test": "test"}


def summary(
    console: Console, run: Path, metrics: Mapping[str, Any], about: About, next_commands: Sequence[str]
) -> None:
    """Print the figures of a run with their 95 % intervals, its size and cost, and the commands to run next.

    Args:
        console: Where to print.
        run: The run folder.
        metrics: Content of `metrics.json`; what is missing there is left out.
        about: What was trained on what.
        next_commands: Command lines, each printed on a line of its own, ready to paste.
    """
    console.print(Text(f"{about.experiment}: {about.backbone} on {about.data}", style="bold"))
    console.print(_figures(metrics))
    _print_remarks(console, metrics)
    for label, value in _facts(run, metrics, about):
        console.print(Text.assemble((f"{label:<12}", "dim"), value), soft_wrap=True)
    console.print("\nNext:")
    for command in next_commands:
        console.print(Text(command), soft_wrap=True)


def print_figures(console: Console, folder: Path, metrics: Mapping[str, Any]) -> None:
    """Print the figures of an evaluation and where they are."""
    console.print(_figures(metrics))
    _print_remarks(console, metrics)
    console.print(Text(f"written to {folder}"), soft_wrap=True)


def _print_remarks(console: Console, metrics: Mapping[str, Any]) -> None:
    """Say what intervals are taken over, and why figures do not exist, those of one reason on one line."""
    units = metrics.get("interval_units", {})
    told = {name: formats.interval_unit(units[split]) for split, name in SPLIT_NAMES.items() if split in units}
    for text in dict.fromkeys(told.values()):
        names = " and ".join(name for name, own in told.items() if own == text)
        console.print(Text(f"{names}: {text}", style="dim"), soft_wrap=True)
    for split, reasons in metrics.get("undefined", {}).items():
        for reason in dict.fromkeys(reasons.values()):
            names = ", ".join(LABELS[name] for name, own in reasons.items() if own == reason and name in LABELS)
            console.print(Text(f"no {names} in {SPLIT_NAMES[split]}: {reason}"), soft_wrap=True)


def _figures(metrics: Mapping[str, Any]) -> Table:
    splits = [split for split in SPLIT_NAMES if split in metrics]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for split in splits:
        table.add_column(SPLIT_NAMES[split], justify="right")
        table.add_column("95 % interval", style="dim")
    for name, label in LABELS.items():
        if not any(name in metrics[split] for split in splits):
            continue
        table.add_row(label, *(cell for split in splits for cell in _cells(metrics, split, name)))
    return table


def _cells(metrics: Mapping[str, Any], split: str, name: str) -> tuple[str, str]:
    ends = metrics.get("intervals", {}).get(split, {}).get(name)
    return formats.metric(name, metrics[split].get(name)), formats.interval(name, ends)


def _facts(run: Path, metrics: Mapping[str, Any], about: About) -> list[tuple[str, str]]:
    facts = []
    if "trainable_parameters" in metrics and "total_parameters" in metrics:
        trained, total = metrics["trainable_parameters"], metrics["total_parameters"]
        facts.append(("trained", f"{formats.count(trained)} of {formats.count(total)} parameters"))
    if "adapter_bytes" in metrics:
        facts.append(("adapter", formats.size(metrics["adapter_bytes"])))
    if "train_seconds" in metrics:
        facts.append(("training", formats.duration(metrics["train_seconds"])))
    if len(about.views) > 1:
        facts.append(("views", f"{len(about.views)} forward passes a picture; export 'views=[identity]' ships one"))
    return [*facts, ("run", str(run))]
