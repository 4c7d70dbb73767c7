"""Escape and overkill rate over the threshold, with their bounds and what was chosen, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from ..decision import Tradeoff
from .plots import ACCENT, INK, MUTED, SECOND, style, svg


def error_curves(rates: Tradeoff, pass_below: float, reject_from: float, asked: Mapping[str, float | None]) -> str:
    """Draw both rates with the chosen thresholds as lines, and what was asked for as dashes.

    Args:
        rates: The rates by threshold.
        pass_below: Below it parts pass.
        reject_from: From it on parts are rejected.
        asked: The rates that were asked for.
    """
    with style("certificate"):
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        axes = figure.subplots()
        drawn = (
            ("escapes", SECOND, rates.escapes, rates.escape_bounds, asked["escape_rate"]),
            ("overkills", ACCENT, rates.overkills, rates.overkill_bounds, asked["overkill_rate"]),
        )
        for name, colour, shares, bounds, limit in drawn:
            axes.plot(rates.thresholds, shares, color=colour, label=name, drawstyle="steps-post")
            axes.fill_between(rates.thresholds, shares, bounds, color=colour, alpha=0.15, linewidth=0, step="post")
            if limit is not None:
                axes.axhline(limit, color=colour, linewidth=1, linestyle="--", label=f"{name} asked for")
        axes.axvline(pass_below, color=INK, linewidth=1.4, label=f"passes below {pass_below:.4g}")
        if reject_from != pass_below:
            axes.axvline(reject_from, color=MUTED, linewidth=1.4, label=f"rejects from {reject_from:.4g}")
        axes.set(xlabel="Threshold of the defect score", ylabel="Share", ylim=(-0.02, 1.02))
        figure.legend(loc="outside right center")
        return svg(figure, "Escape and overkill rate over the threshold, with their bounds")
