"""The page of suite `claims`: verdicts, accuracy over time of every method, and the means behind them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..report.environment import environment
from ..report.plots import COLOURS, INK, MUTED, style, svg
from .contenders import CONTENDERS
from .suite import Row
from .verdicts import ALL, Verdict

TEMPLATE = "claims.html.j2"
_OTHERS = [method for method in CONTENDERS if method not in ("full", "head")]
LINES: dict[str, str] = {"full": INK, "head": MUTED, **dict(zip(_OTHERS, COLOURS, strict=False))}


def page(
    rows: Sequence[Row],
    means: Sequence[Row],
    verdicts: Sequence[Verdict],
    unmeasured: Sequence[str],
    notes: Sequence[str],
    command: str,
    machine: Mapping[str, Any],
) -> str:
    """Return the page as HTML that needs no other file.

    Args:
        rows: The trials.
        means: As `src.benchmarks.verdicts.means`.
        verdicts: On every claim.
        unmeasured: What was skipped or failed, a line each.
        notes: How to read the figures.
        command: Measures the same again.
        machine: What it ran on.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    return (
        environment(Path(__file__).parent)
        .get_template(TEMPLATE)
        .render(
            models=[_model(model, rows, means, verdicts) for model in models],
            seeds=sorted({row["seed"] for row in rows}),
            unmeasured=unmeasured,
            notes=notes,
            command=command,
            machine=", ".join(f"{key} {value}" for key, value in machine.items() if key not in ("flags", "system")),
        )
    )


def curves(rows: Sequence[Row], label: str) -> str:
    """Draw validation accuracy over time: each method's mean over seeds, its seeds thin behind it.

    Args:
        rows: Trials of one model and data set.
        label: For screen readers.
    """
    with style(label):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        axes = figure.subplots()
        for method in LINES:
            _draw(axes, method, [row["curve"] for row in rows if row["method"] == method and "curve" in row])
        axes.set(xlabel="Seconds of training, the head's start and validation included", xlim=(0, None))
        axes.set_title("Balanced accuracy on validation", loc="left", fontsize=12, fontweight="bold")
        axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # whole percents
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        figure.legend(loc="outside lower center", ncols=len(LINES))
        return svg(figure, label)


def _draw(axes: Axes, method: str, seeds: Sequence[Sequence[Mapping[str, float]]]) -> None:
    if not seeds:
        return
    seconds, scores = (
        [[point[key] for point in curve] for curve in seeds] for key in ("seconds", "val_balanced_accuracy")
    )
    if len(seeds) > 1:
        for x, y in zip(seconds, scores, strict=True):
            axes.plot(x, y, color=LINES[method], linewidth=0.8, alpha=0.3)
    mean = [[statistics.fmean(values) for values in zip(*lists, strict=True)] for lists in (seconds, scores)]
    dashed = "--" if method in ("full", "head") else "-"
    axes.plot(*mean, dashed, color=LINES[method], marker="o", markersize=3.5, label=method)


def _model(model: str, rows: Sequence[Row], means: Sequence[Row], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what the template shows of one model."""
    own = [row for row in rows if row["model"] == model]
    names = list(dict.fromkeys(row["dataset"] for row in own))
    judged = [verdict for verdict in verdicts if verdict.model == model]
    claims = list(dict.fromkeys(verdict.claim for verdict in judged))
    table = {verdict.claim: [each for each in judged if each.claim is verdict.claim] for verdict in judged}
    return {
        "name": model,
        "sets": names,
        "claims": [(claim.text, table[claim]) for claim in claims],
        "parts": [
            {
                "name": "All sets" if name == ALL else name,
                "figure": ""
                if name == ALL
                else curves([row for row in own if row["dataset"] == name], f"{model} {name}"),
                "means": [row for row in means if row["model"] == model and row["dataset"] == name],
            }
            for name in (*names, *([ALL] if len(names) > 1 else []))
        ],
    }
