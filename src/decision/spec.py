"""What a decision is made by, as it travels from the fitting to the camera."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from ..spec import _Spec

ORIGINS = ("certified", "chosen", "estimated")
UNITS = ("image", "group")


@dataclass(frozen=True)
class DecisionSpec(_Spec):
    """Calibration, thresholds and what they promise; every threshold is a float32, so that no camera rounds it.

    One of three forms makes verdicts: `pass_below` with `reject_from` (classes, grades and labels), `decide_from`
    (classes none of which passes), or `margin` with `limits` (a number). Without any of them nothing was decided on.

    Attributes:
        origin: How the thresholds came about, one of `ORIGINS`; only certified ones promise something.
        temperatures: What the logits are divided by: none, one, or one for each label.
        pass_classes: Classes of a part that may pass.
        labels: Labels that must not be missed; each has its own threshold.
        pass_below: Scores below it pass: one, or one for each of `labels`, all of which must lie below theirs.
        reject_from: Scores from it on are rejected: one, or one for each of `labels`, any of which is enough.
        decide_from: How probable the decided class must be to stand without a person.
        margin: How far off a value is at most.
        limits: Lowest and highest value of a good part; None for a side without.
        strange_above: What is stranger than that never passes.
        escape_rate: What was promised at most, or None.
        overkill_rate: What was promised at most, or None.
        confidence: Of each promise, or None without one.
        unit: What the promise counts, one of `UNITS`.
    """

    origin: str = "certified"
    temperatures: tuple[float, ...] = ()
    pass_classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    pass_below: tuple[float, ...] = ()
    reject_from: tuple[float, ...] = ()
    decide_from: float | None = None
    margin: float | None = None
    limits: tuple[float | None, ...] = ()
    strange_above: float | None = None
    escape_rate: float | None = None
    overkill_rate: float | None = None
    confidence: float | None = None
    unit: str = "image"

    def __post_init__(self) -> None:
        """Refuse what no camera could follow."""
        if self.origin not in ORIGINS or self.unit not in UNITS:
            raise ValueError(f"origin is one of {', '.join(ORIGINS)} and unit one of {', '.join(UNITS)}")
        rows = (self.temperatures, self.pass_classes, self.labels, self.pass_below, self.reject_from, self.limits)
        if not all(isinstance(row, tuple) for row in rows):
            raise ValueError("temperatures, pass_classes, labels, pass_below, reject_from and limits must be lists")
        forms = (self.pass_below or self.reject_from, self.decide_from is not None, self.margin is not None)
        if sum(map(bool, forms)) > 1:
            raise ValueError("a decision has thresholds for scores, one for certainty or a margin, not several of them")
        self._check_numbers()
        self._check_thresholds()
        if (self.margin is None) != (not self.limits) or len(self.limits) not in (0, 2):
            raise ValueError(f"a margin goes with limits [low, high], not {self.margin} with {list(self.limits)}")

    @property
    def decides(self) -> bool:
        """Return whether it makes verdicts."""
        return bool(self.pass_below) or self.decide_from is not None or self.margin is not None

    def _check_numbers(self) -> None:
        held = (*self.pass_below, *self.reject_from, self.decide_from, self.margin, self.strange_above)
        for value in held:
            if value is not None and not _is_float32(value):
                raise ValueError(f"{value} is no finite float32: round a threshold to its safe side before you keep it")
        if not all(_is_float32(value) and value > 0 for value in self.temperatures):
            raise ValueError(f"temperatures must be float32 above 0, not {list(self.temperatures)}")
        if any(limit is not None and not _is_number(limit) for limit in self.limits):
            raise ValueError(f"limits must be finite numbers, or null, not {list(self.limits)}")
        for rate in (self.escape_rate, self.overkill_rate, self.confidence):
            if rate is not None and not (_is_number(rate) and 0 < rate < 1):
                raise ValueError(f"a rate or confidence must be above 0 and below 1, not {rate}")

    def _check_thresholds(self) -> None:
        pairs = list(zip(self.pass_below, self.reject_from, strict=False))
        if len(self.pass_below) != len(self.reject_from) or any(low > high for low, high in pairs):
            raise ValueError(
                "pass_below and reject_from must be as many, none of the first above its partner, "
                f"not {list(self.pass_below)} and {list(self.reject_from)}"
            )
        if pairs and bool(self.pass_classes) == bool(self.labels):
            raise ValueError("thresholds for scores go with pass_classes, or with labels, and not with both")
        if pairs and len(pairs) != (len(self.labels) or 1):
            raise ValueError(f"there are {len(pairs)} thresholds for {len(self.labels) or 1}: {list(self.labels)}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_float32(value: float) -> bool:
    try:
        return _is_number(value) and bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False
