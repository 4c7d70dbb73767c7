"""The number format of a shipped file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from ..limits import LOOSE, Budget, Limits
from ..parity import Parity
from ..search import Search
from ..speed import Speed


@dataclass(frozen=True)
class Conversion:
    """One file that is to be written in another precision.

    Attributes:
        fp32: The file to convert.
        file: The file to write.
        pictures: Training images as the file takes them, in batches of one; read again each time they are gone through.
        judge: Compares the outputs of a file's content with those of the trained model, on images that accept none.
        measure: Times the file that was written against `fp32`.
    """

    fp32: Path
    file: Path
    pictures: Iterable[NDArray[Any]]
    judge: Callable[[bytes], Parity]
    measure: Callable[[], Speed]


class Precision(ABC):
    """One number format. A new one is a file in this folder that names its object `PRECISION`.

    Attributes:
        name: What users call it, and every file.
        tolerance: What outputs may differ on other processors, as a part of the largest: they sum in another order, and
            some saturate int8 sums.
        has_budget: Whether it may cost accuracy, and must bring speed in return: what `Budget` says.
    """

    name: ClassVar[str]
    tolerance: ClassVar[float]
    has_budget: ClassVar[bool] = False

    @abstractmethod
    def convert(self, conversion: Conversion) -> Search | None:
        """Write the file, and return how it was found where that took a search.

        Raises:
            ValueError: The model cannot be converted.
        """

    def limits(self, profile: str, budget: Budget) -> Limits:
        """Return what the file may differ from the trained model."""
        if not self.has_budget:
            return LOOSE
        return Limits(None, None, budget.max_accuracy_drop, budget.max_accuracy_drop_bound)

    def min_speedup(self, budget: Budget) -> float | None:
        """Return what the time of the fp32 file over that of this one must reach; None where speed decides nothing."""
        return budget.min_speedup if self.has_budget else None
