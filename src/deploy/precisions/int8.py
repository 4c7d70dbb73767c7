"""int8, with as few layers left in fp32 as the accuracy asks for."""

from __future__ import annotations

from ...allocator import release_freed_memory
from ..search import Search, find_int8
from .precision import Conversion, Precision


class Int8(Precision):
    """Layers in int8, found by their effect on the accuracy."""

    name = "int8"
    tolerance = 0.05
    has_budget = True

    def convert(self, conversion: Conversion) -> Search | None:
        """Search the file that `Conversion.judge` and `Conversion.measure` let pass."""
        release_freed_memory()  # of the stages before
        return find_int8(conversion.fp32, conversion.pictures, conversion.judge, conversion.measure, conversion.file)


PRECISION = Int8()
