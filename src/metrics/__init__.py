"""The figures of a split: training steers by them, and train, evaluate, the report and the gate give the same ones."""

from .counts import Outcomes, confusion, outcomes
from .figures import Figures, Intervals, compute, compute_one, headline, intervals, units, why_undefined
from .table import LABELS, METRICS, Metric

__all__ = [
    "LABELS",
    "METRICS",
    "Figures",
    "Intervals",
    "Metric",
    "Outcomes",
    "compute",
    "compute_one",
    "confusion",
    "headline",
    "intervals",
    "outcomes",
    "units",
    "why_undefined",
]
