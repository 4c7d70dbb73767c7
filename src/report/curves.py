"""ROC and precision-recall curves as SVG text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from ..kinds import Array
from ..metrics import outcomes
from .plots import FEW, INK, MUTED, short, style, svg
from .predictions import Predictions

MOST_CURVES = 10
GRID = np.linspace(0, 1, 201)


@dataclass(frozen=True, eq=False)
class Curve:
    """One class against the rest.

    Attributes:
        name: The class.
        x: False-alarm rate or recall, ascending.
        y: Detection rate or precision at each `x`.
        area: Area under the curve as `metrics.compute` counts it.
    """

    name: str
    x: Array
    y: Array
    area: float


def roc(predictions: Predictions, positive: str | None) -> str:
    """Draw the ROC curve of `positive`, or those of the classes against the rest and their mean.

    With more than ten classes, the ten with the smallest areas are drawn. `predictions` must hold two classes or more.
    """
    curves = [roc_curve(predictions, name) for name in _classes(predictions, positive)]
    with style("roc"):
        figure, axes = _square("False-alarm rate", "Detection rate", len(curves))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="chance")
        _draw(axes, curves)
        if positive is None:
            _draw_mean(axes, curves, lambda curve: np.interp(GRID, curve.x, curve.y))
        else:
            counts = outcomes(predictions, positive)
            _draw_decisions(
                axes, counts.alarms / (counts.alarms + counts.passed), counts.found / (counts.found + counts.missed)
            )
        figure.legend(loc="outside lower center", ncols=2)
        return svg(figure, "ROC curve")


def precision_recall(predictions: Predictions, positive: str | None) -> str:
    """Draw precision over recall, for the classes that `roc` takes."""
    curves = [precision_curve(predictions, name) for name in _classes(predictions, positive)]
    with style("precision"):
        figure, axes = _square("Recall", "Precision", len(curves))
        if positive is not None:
            axes.axhline(_share(predictions, positive), color=MUTED, linewidth=1, linestyle="--", label="chance")
        _draw(axes, curves, "steps-pre")
        if positive is None:
            _draw_mean(axes, curves, lambda curve: curve.y[np.searchsorted(curve.x, GRID)])
        else:
            counts = outcomes(predictions, positive)
            called = counts.found + counts.alarms
            if called:
                _draw_decisions(axes, counts.found / (counts.found + counts.missed), counts.found / called)
        figure.legend(loc="outside lower center", ncols=2)
        return svg(figure, "Precision-recall curve")


def roc_curve(predictions: Predictions, name: str) -> Curve:
    """Return detection rate over false-alarm rate of one class against the rest."""
    alarms, found, _ = binary_roc(*_against_rest(predictions, name))
    x, y = alarms.double().numpy(), found.double().numpy()
    return Curve(name, x, y, float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)))


def precision_curve(predictions: Predictions, name: str) -> Curve:
    """Return precision over recall of one class against the rest; between two recalls the later precision holds."""
    precision, recall, _ = binary_precision_recall_curve(*_against_rest(predictions, name))
    x, y = recall.double().numpy()[::-1], precision.double().numpy()[::-1]
    return Curve(name, x, y, float(np.sum(np.diff(x) * y[1:])))


def _square(x: str, y: str, curves: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.7, 4.5 + 0.12 * curves) if curves <= FEW else (7, 7.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure, axes


def _classes(predictions: Predictions, positive: str | None) -> Sequence[str]:
    if positive is not None:
        return [positive]
    share = predictions.target_matrix.mean(axis=0)
    return [name for name, part in zip(predictions.classes, share, strict=True) if 0 < part < 1]


def _share(predictions: Predictions, positive: str) -> float:
    return float(predictions.target_matrix[:, predictions.classes.index(positive)].mean())


def _against_rest(predictions: Predictions, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    index = predictions.classes.index(name)
    targets = torch.from_numpy(predictions.target_matrix[:, index]).int()
    return torch.from_numpy(predictions.probabilities[:, index]), targets


def _draw(axes: Axes, curves: list[Curve], drawstyle: str = "default") -> None:
    # Classes that are told apart well would hide the others.
    worst = sorted(curves, key=lambda curve: curve.area)[:MOST_CURVES]
    width = 2.2 if len(curves) == 1 else 1.3
    for curve in [curve for curve in curves if curve in worst]:
        label = f"{short(curve.name)}: {curve.area:.3f}"
        axes.plot(curve.x, curve.y, label=label, linewidth=width, drawstyle=drawstyle)


def _draw_mean(axes: Axes, curves: list[Curve], heights: Callable[[Curve], Array]) -> None:
    mean = np.mean([heights(curve) for curve in curves], axis=0)
    area = np.mean([curve.area for curve in curves])
    axes.plot(GRID, mean, color=INK, linewidth=2.6, label=f"mean of {len(curves)}: {area:.3f}")


def _draw_decisions(axes: Axes, x: float, y: float) -> None:
    axes.plot(
        [x],
        [y],
        "o",
        color=INK,
        markersize=9,
        markeredgecolor="white",
        markeredgewidth=1.5,
        label="decisions",
        zorder=5,
    )
