"""What travels from training to the edge: how pixels become a tensor, and what the outputs mean."""

from __future__ import annotations

import math
import struct
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Self

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
CROP_MODES = ("center", "squash")
JOINT = "|"  # between the labels of one picture, where they stand in one text
QUARTER_TURNS = ("transpose", "rotate90", "rotate270", "transverse")  # as Pillow names them
VIEWS = ("identity", "horizontal", "vertical", "both", *QUARTER_TURNS)
ORIGINS = ("certified", "chosen", "estimated")
UNITS = ("image", "group")


class _Spec:
    """Plain-JSON reading and writing shared by the specs, strict about unknown keys and missing values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the spec from what `to_dict` returned.

        A missing key takes its default: files older than the key were made with exactly that.

        Raises:
            ValueError: A key is missing or unknown, or a value is out of range.
        """
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__} must be a mapping, not {type(values).__name__}")
        known = {field.name: field.default is MISSING for field in fields(cls)}  # type: ignore[arg-type]
        missing = sorted(name for name, required in known.items() if required and name not in values)
        unknown = sorted(set(values) - set(known))
        if missing or unknown:
            raise ValueError(
                f"{cls.__name__} has missing keys {missing} and unknown keys {unknown}: "
                "was the file written by another version of Graft?"
            )
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


@dataclass(frozen=True)
class ImageSpec(_Spec):
    """How a decoded picture becomes the network's input.

    Attributes:
        size: Height and width of the network's input, in pixels.
        mean: Per-channel mean that is subtracted, on the scale 0 to 1 (RGB); one value for a network of grey.
        std: Per-channel standard deviation that is divided by, on the same scale.
        interpolation: Name of the resize filter, one of `INTERPOLATIONS`; always antialiased.
        crop_pct: Part of the resized picture that the centre crop keeps (timm's `crop_pct`).
        crop_mode: `center` resizes the shorter side and crops the middle; `squash` resizes both sides to the size
            over `crop_pct` whatever their ratio, then crops the middle.
        bit_depth: White in a grey picture that is stored with more than 8 bits is 2**bit_depth - 1; 8 to 16.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop_pct: float
    crop_mode: str
    bit_depth: int = 16

    def __post_init__(self) -> None:
        """Refuse values that no pipeline could follow."""
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"image size must be two positive numbers (height, width), not {self.size}")
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean) or min(self.std) <= 0:
            raise ValueError(
                f"mean and std need three channels each, or one, and std above 0, not {self.mean} and {self.std}"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"unknown interpolation {self.interpolation!r}: choose one of {', '.join(INTERPOLATIONS)}")
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct must be above 0 and at most 1, not {self.crop_pct}")
        if self.crop_mode not in CROP_MODES:
            raise ValueError(f"unknown crop_mode {self.crop_mode!r}: choose one of {', '.join(CROP_MODES)}")
        if isinstance(self.bit_depth, bool) or self.bit_depth not in range(8, 17):
            raise ValueError(f"bit_depth must be a whole number from 8 to 16, not {self.bit_depth}")


@dataclass(frozen=True)
class TaskSpec(_Spec):
    """What the network's outputs mean.

    Attributes:
        kind: Name of the kind of task, see `src.kinds`; `src.kinds.require_task` checks what the kind asks of the rest.
        classes: Class names in the order of the logits, lowest grade first; of a value the quantity's name alone.
        positive: The class that binary metrics count as positive (the defect); None with more than two classes.
        views: Flips and quarter turns of the picture whose logits are averaged, part of the shipped graph;
            `("identity",)` for none.
        center: Where values are standardised, the one that a logit of 0 stands for.
        scale: What a logit of 1 adds to `center`; above 0.
    """

    kind: str
    classes: tuple[str, ...]
    positive: str | None = None
    views: tuple[str, ...] = ("identity",)
    center: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no kind of task has."""
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"the positive class {self.positive!r} is not among {', '.join(self.classes)}")
        if not self.views or not set(self.views) <= set(VIEWS):
            raise ValueError(f"views must be some of {', '.join(VIEWS)}, not {list(self.views)}")


@dataclass(frozen=True)
class DecisionSpec(_Spec):
    """Calibration, thresholds and what they promise; every threshold is a float32, so that no camera rounds it.

    One of three forms makes verdicts: `pass_below` with `reject_from` (classes, grades and labels), `decide_from`
    (classes none of which passes), or `margin` with `limits` (a number).

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
        for value in (*self.pass_below, *self.reject_from, self.decide_from, self.margin, self.strange_above):
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


@dataclass(frozen=True)
class Decision:
    """What the camera is told about one picture.

    Attributes:
        label: Name of the decided class; with several labels those that are present, joined by `JOINT`.
        score: Probability of that class, 0 to 1; with several labels, of the least certain of the decisions.
        probabilities: Probability of every class by name.
        verdict: What is done with the part; None where the bundle was never certified.
    """

    label: str
    score: float
    probabilities: dict[str, float]
    verdict: str | None = None

    @property
    def text(self) -> str:
        """The decision in a few letters."""
        return f"{self.label or 'no label'} {self.score:.3f}"


@dataclass(frozen=True)
class Measurement:
    """What the camera is told about one picture whose value was to be found.

    Attributes:
        value: The quantity, in the unit of the training's values.
        verdict: What is done with the part; None where the bundle was never certified.
    """

    value: float
    verdict: str | None = None

    @property
    def text(self) -> str:
        """The value in a few digits."""
        return f"{self.value:.4g}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_float32(value: float) -> bool:
    try:
        return _is_number(value) and bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False
