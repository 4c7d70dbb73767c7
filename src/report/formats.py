"""Format numbers for people, on the pages and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from ..metrics import METRICS

MISSING = "\N{EN DASH}"


def metric(name: str, value: float | None) -> str:
    """Write a metric: rates in percent, errors with three digits, the rest with three decimals, a dash for None."""
    if value is None:
        return MISSING
    form = METRICS[name].form if name in METRICS else "number"
    if form == "error":
        return f"{value:#.3g}".rstrip(".")
    return f"{value:.1%}".replace("%", " %") if form == "rate" else f"{value:.3f}"


def interval_unit(unit: Mapping[str, int]) -> str:
    """Say what intervals are resampled over: `{"groups": 12}` or `{"images": 295}`."""
    if "groups" in unit:
        return f"intervals are resampled over {unit['groups']} groups"
    return "intervals take the images as independent, since no groups are known"


def interval(name: str, ends: tuple[float, float] | None) -> str:
    """Write the two ends of an interval, as in `85.1 to 90.2 %`, or nothing."""
    if ends is None:
        return ""
    low, high = (metric(name, end) for end in ends)
    return f"{low.removesuffix(' %')} to {high}"


def count(value: int) -> str:
    """Write a whole number with commas between thousands."""
    return f"{value:,}"


def size(bytes_: int) -> str:
    """Write a file size in decimal units, as in `412 kB`."""
    value, unit = float(bytes_), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit in ("MB", "GB") else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """Write a time span with its two largest units, as in `12 min 5 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
