"""What travels from training to the edge: how pixels become a tensor, and what the outputs mean."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Self

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
CROP_MODES = ("center", "squash")
JOINT = "|"  # between the labels of one picture, where they stand in one text
QUARTER_TURNS = ("transpose", "rotate90", "rotate270", "transverse")  # as Pillow names them
VIEWS = ("identity", "horizontal", "vertical", "both", *QUARTER_TURNS)


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
class Decision:
    """What the camera is told about one picture.

    Attributes:
        label: Name of the decided class; with several labels those that are present, joined by `JOINT`.
        score: Probability of that class, 0 to 1; with several labels, of the least certain of the decisions.
        probabilities: Probability of every class by name.
    """

    label: str
    score: float
    probabilities: dict[str, float]

    @property
    def text(self) -> str:
        """The decision in a few letters."""
        return f"{self.label or 'no label'} {self.score:.3f}"


@dataclass(frozen=True)
class Measurement:
    """What the camera is told about one picture whose value was to be found.

    Attributes:
        value: The quantity, in the unit of the training's values.
    """

    value: float

    @property
    def text(self) -> str:
        """The value in a few digits."""
        return f"{self.value:.4g}"
