"""Thresholds as the camera holds them: float32, rounded to the safe side."""

from __future__ import annotations

import numpy as np

INFINITY = np.float32(np.inf)


def down(value: float) -> float:
    """Return the largest float32 that is at most `value`."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, -INFINITY))


def up(value: float) -> float:
    """Return the smallest float32 that is at least `value`."""
    return -down(-value)


def next_above(value: float) -> float:
    """Return the smallest float32 that is above `value`."""
    rounded = up(value)
    return rounded if rounded > value else float(np.nextafter(np.float32(rounded), INFINITY))


def between(low: float, high: float, upwards: bool) -> float:
    """Return a finite float32 above `low` and at most `high`: midway, rounded down, or up where `upwards`.

    Scores at `low` lie below it, scores at `high` do not. Where an end is infinite it is the number nearest to the
    other one. Where no float32 lies in the gap it is the first beyond it, on the safe side.

    Args:
        low: A score, or -inf.
        high: The next score above it, or inf.
        upwards: Which side is safe.
    """
    if not np.isfinite(low) and not np.isfinite(high):
        return 0.0
    if not np.isfinite(low):
        return up(high) if upwards else down(high)
    if not np.isfinite(high):
        return next_above(low)
    middle = low / 2 + high / 2
    if upwards:
        return up(middle) if up(middle) <= high else next_above(low)
    return down(middle) if down(middle) > low else down(high)
