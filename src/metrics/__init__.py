"""The figures of a split: training steers by them, and train, evaluate and the report give them: the same numbers."""

from src.metrics.classes import Outcomes, confusion, outcomes
from src.metrics.figures import LABELS, Intervals, compute, headline, intervals
from src.metrics.rows import Decided, Rows
from src.metrics.undefined import why_undefined
from src.metrics.weighted import Array, Figures

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
