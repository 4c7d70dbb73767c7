"""The precisions that there are, by name."""

from __future__ import annotations

from ...choices import require_precision
from .precision import Precision

PRECISIONS: dict[str, Precision] = {}


def find_precision(name: str) -> Precision:
    """Return the precision of this name.

    Raises:
        ValueError: There is none.
    """
    require_precision(name, PRECISIONS)
    return PRECISIONS[name]
