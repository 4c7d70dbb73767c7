"""Decided over true values, and how far they are apart, as SVG text."""

from __future__ import annotations

from matplotlib.figure import Figure

from .plots import ACCENT, INK, MUTED, style, svg
from .predictions import Predictions

MOST_VECTORS = 2_000  # points that are drawn one by one; more become an image inside the figure


def scatter(predictions: Predictions) -> str:
    """Draw the decided value of every image over its true one, with the line on which both are the same."""
    true, decided = predictions.target_values, predictions.predicted_values
    low, high = min(true.min(), decided.min()), max(true.max(), decided.max())
    margin = 0.03 * (high - low or 1.0)
    with style("scatter"):
        figure = Figure(figsize=(4.7, 4.6), layout="constrained")
        axes = figure.subplots()
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle="--", label="decided as it is")
        many = len(true) > MOST_VECTORS
        axes.plot(true, decided, "o", color=ACCENT, alpha=0.45, markersize=5, markeredgewidth=0, rasterized=many)
        axes.set(xlabel="True value", ylabel="Decided value", xlim=ends, ylim=ends, aspect="equal")
        figure.legend(loc="outside lower center")
        return svg(figure, "Decided over true values")


def errors(predictions: Predictions) -> str:
    """Draw how many images were decided how far below (left) or above (right) their true value."""
    with style("errors"):
        figure = Figure(figsize=(4.7, 4.6), layout="constrained")
        axes = figure.subplots()
        axes.hist(predictions.predicted_values - predictions.target_values, bins=25, color=ACCENT)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(xlabel="Decided less true value", ylabel="Images")
        return svg(figure, "Errors")
