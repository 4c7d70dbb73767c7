"""The figures of a split: training steers by them, and train, evaluate and the report give them: the same numbers."""

from .classes import Outcomes, confusion, outcomes
from .figures import LABELS, Intervals, compute, headline, intervals
from .rows import Decided, Rows
from .undefined import why_undefined
from .weighted import Array, Figures

__all__ = [
    "LABELS",
    "Array",
    "Decided",
    "Figures",
    "Intervals",
    "Outcomes",
    "Rows",
    "compute",
    "confusion",
    "headline",
    "intervals",
    "outcomes",
    "why_undefined",
]
