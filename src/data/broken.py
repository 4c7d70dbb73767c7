"""Policy for images that cannot be decoded: leave them out, or stop the command."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from .dataset_index import SPLITS, Sample

log = logging.getLogger(__name__)

OnError = Literal["auto", "skip", "stop"]
STOPPING: dict[str, tuple[str, ...]] = {"auto": ("val", "test", "calibration"), "skip": (), "stop": SPLITS}


def sort_out(samples: Sequence[Sample], errors: Mapping[int, str], on_error: OnError) -> list[tuple[Path, str]]:
    """Return the broken images with the reasons, and say how many are left out.

    Args:
        samples: The images, each with its split.
        errors: Why an image cannot be read, by its position.
        on_error: `auto` leaves them out of train and stops for the other splits, `skip` leaves them out everywhere,
            `stop` stops everywhere.

    Raises:
        ValueError: One stops.
    """
    broken = [(samples[position], reason) for position, reason in errors.items()]
    stopping = [(sample, reason) for sample, reason in broken if sample.split in STOPPING[on_error]]
    if stopping:
        raise ValueError(f"{_told(stopping)}: repair or remove the files, or set data.on_error=skip")
    if broken:
        log.warning("%s: left out", _told(broken))
    return [(sample.path, reason) for sample, reason in broken]


def require_readable(samples: Sequence[Sample], errors: Mapping[int, str], each: bool = True) -> None:
    """Refuse a class of which no image in some split can be read, or only images of which none can be.

    Args:
        samples: The images, each with its split.
        errors: Why an image cannot be read, by its position.
        each: Whether every class is needed in every split that has it; else one image is enough.

    Raises:
        ValueError: There is such a class, or no image at all.
    """
    lost = {_cell(sample) for sample in samples} - {
        _cell(sample) for position, sample in enumerate(samples) if position not in errors
    }
    if lost and (each or len(errors) == len(samples)):
        broken = [(samples[position], reason) for position, reason in errors.items()]
        raise ValueError(f"no image of {' and '.join(sorted(lost))} can be read; {_told(broken)}: repair the files")


def _cell(sample: Sample) -> str:
    return f"class {sample.label!r} in {sample.split}"


def _told(broken: list[tuple[Sample, str]]) -> str:
    """Return the number of broken images by split and the first names."""
    counts = Counter(str(sample.split) for sample, _ in broken)
    splits = " and ".join(f"{counts[name]} of {name}" for name in SPLITS if counts[name])
    names = "; ".join(f"{sample.path} ({reason})" for sample, reason in broken[:3])
    return f"images that cannot be read, {splits}: {names}{'; ...' if len(broken) > 3 else ''}"
