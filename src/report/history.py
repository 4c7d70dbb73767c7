"""What each epoch of a training brought, as the columns that curves are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

History = dict[str, NDArray[np.float64]]


def columns(rows: Sequence[Mapping[str, float]]) -> History:
    """Return every column of the rows of a training, one value per row, NaN where a row has none."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
