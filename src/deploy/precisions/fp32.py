"""fp32, in which models are trained and exported."""

from __future__ import annotations

import shutil

from ..limits import LOOSE, Budget, Limits
from ..search import Search
from .precision import Conversion, Precision


class Fp32(Precision):
    """The exported file as it is."""

    name = "fp32"
    tolerance = 1e-3

    def convert(self, conversion: Conversion) -> Search | None:
        """Copy the file."""
        shutil.copyfile(conversion.fp32, conversion.file)
        return None

    def limits(self, profile: str, budget: Budget) -> Limits:
        """Return limits that hardly more than rounding keeps, but where the graph resizes instead of Pillow."""
        return LOOSE if profile in ("u8-resize", "u8-matmul") else Limits()


PRECISION = Fp32()
