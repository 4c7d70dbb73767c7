"""The figures of a split: train, evaluate and the report all take them from here, so they are the same numbers."""

from src.report.metrics.classes import Outcomes, confusion, outcomes
from src.report.metrics.measure import LABELS, Intervals, compute, headline, intervals, measure, read_metrics
from src.report.metrics.weighted import Array, Figures

__all__ = [
    "LABELS",
    "Array",
    "Figures",
    "Intervals",
    "Outcomes",
    "compute",
    "confusion",
    "headline",
    "intervals",
    "measure",
    "outcomes",
    "read_metrics",
]
