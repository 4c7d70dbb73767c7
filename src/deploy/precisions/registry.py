"""The precisions that there are, by name."""

from __future__ import annotations

from .precision import Precision

FP32 = "fp32"  # the one that is exported, and that the others are converted from and compared with
PRECISIONS: dict[str, Precision] = {}


def find_precision(name: str) -> Precision:
    """Return the precision of this name.

    Raises:
        ValueError: There is none.
    """
    if name not in PRECISIONS:
        known = sorted(PRECISIONS, key=lambda each: (each != FP32, each))
        raise ValueError(f"unknown precision {name!r}: use precision={', '.join(known)}")
    return PRECISIONS[name]
