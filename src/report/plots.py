"""Figures as SVG text, learning curves and confusion matrix: the same numbers give the same bytes everywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..kinds import Array
from ..metrics import confusion
from .history import History
from .predictions import Predictions

INK, MUTED, GRID, ACCENT, SECOND = "#1d2a2f", "#6b7980", "#e5eaea", "#1f7a5c", "#c8722a"
COLOURS = (ACCENT, SECOND, "#3f6fb0", "#a8456b", "#7765b0", "#8a8b2a", "#2b93a3", "#8c5a3c", "#5c7482", "#d08fb4")
SHADES = LinearSegmentedColormap.from_list("shades", ["#f6f9f8", "#9fcdbb", ACCENT, "#0f4a37"])
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#b8c2c5",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.prop_cycle": "cycler('color', " + repr(list(COLOURS)) + ")",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",  # matplotlib ships it, so the layout is the same everywhere; the page sets its own
    "font.size": 11,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.columnspacing": 1.2,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
PANELS = {
    "Loss": {"train_loss": "training", "val_loss": "validation"},
    "Validation score": {
        "val_balanced_accuracy": "balanced accuracy",
        "val_auroc": "AUROC",
        "val_quadratic_kappa": "quadratic kappa",
        "val_r2": "R\N{SUPERSCRIPT TWO}",
    },
    "Learning rate": {"learning_rate": "learning rate"},
}
FEW = 6  # up to so many classes three figures fit in one row of the page
MOST_NAMED = 30  # classes whose names still fit beside the matrix
MOST_WRITTEN = 12  # classes whose counts still fit in the cells
LONGEST = 16


def style(salt: str) -> AbstractContextManager[None]:
    """Return the context in which every figure is drawn; `salt` keeps the ids of two figures in one page apart."""
    return rc_context({**STYLE, "svg.hashsalt": salt})


def svg(figure: Figure, label: str) -> str:
    """Render `figure` without date, tool, and the ids that would be double in a page; `label` is for screen readers."""
    buffer = io.StringIO()
    # No date and no version: the same run gives the same bytes.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return re.sub(r'width="[^"]*" height="[^"]*"', f'role="img" aria-label="{escape(label)}"', text, count=1)


def short(name: str) -> str:
    """Return a class name that a figure can show: printable and at most `LONGEST` letters."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def learning_curves(history: History, best_epoch: int | None) -> str:
    """Draw loss and validation scores by epoch, the epoch that was kept as a dotted line.

    Args:
        history: Columns of `history.csv`; missing or empty ones are left out.
        best_epoch: The epoch that was kept, numbered as in `history`, -1 for the head alone, or None.

    Returns:
        The SVG, or nothing when there is nothing to draw.
    """
    panels = {title: series for title, columns in PANELS.items() if (series := _series(history, columns))}
    if not panels:
        return ""
    with style("curves"):
        figure = Figure(figsize=(14, 3.8), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, series) in zip(row, panels.items(), strict=True):
            _panel(axes, title, series, best_epoch)
        return svg(figure, "Learning curves: " + ", ".join(panels))


def confusion_matrix(predictions: Predictions) -> str:
    """Draw how many images of each class (rows) were decided as which class (columns), shaded by share of the row."""
    counts = confusion(predictions)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(counts)
    with style("confusion"):
        figure = Figure(figsize=(4.7, 4.3) if size <= FEW else (11, 9), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(
            shares, cmap=SHADES, vmin=0, vmax=1, edgecolor="white", linewidth=1.5, rasterized=size > MOST_NAMED
        )
        axes.set(xlabel="Decided", ylabel="Target", aspect="equal")
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        _name_cells(axes, predictions.classes)
        if size <= MOST_WRITTEN:
            _write_cells(axes, counts, shares)
        return svg(figure, "Confusion matrix")


def _series(history: History, columns: Mapping[str, str]) -> dict[str, tuple[Array, Array]]:
    """Return epochs and values by label, for the columns that hold any."""
    series = {}
    for column, label in columns.items():
        known = ~np.isnan(history[column]) if column in history else np.array([False])
        if known.any():
            series[label] = (history["epoch"][known], history[column][known])
    return series


def _panel(axes: Axes, title: str, series: Mapping[str, tuple[Array, Array]], best_epoch: int | None) -> None:
    for label, (epochs, values) in series.items():
        axes.plot(epochs, values, label=label, marker="o" if len(values) == 1 else "")
    if best_epoch is not None:
        axes.axvline(
            best_epoch,
            color=MUTED,
            linewidth=1.2,
            linestyle=":",
            label="head alone kept" if best_epoch < 0 else "epoch kept",
        )
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), ncols=4, borderaxespad=0)


def _name_cells(axes: Axes, classes: tuple[str, ...]) -> None:
    names = [short(name) for name in classes] if len(classes) <= MOST_NAMED else []
    places = np.arange(len(names)) + 0.5
    tilted = sum(map(len, names)) > 40
    axes.set_xticks(places, names, rotation=40 if tilted else 0, ha="right" if tilted else "center", color=INK)
    axes.set_yticks(places, names, color=INK)


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: Array) -> None:
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.45 else INK
        text = f"{count:,}\n{100 * shares[row, column]:.0f} %" if len(counts) <= FEW else f"{count:,}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, linespacing=1.5)
