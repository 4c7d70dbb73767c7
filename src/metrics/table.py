"""Every metric: how it is computed, and how people read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..kinds import Array
from .classes import (
    accuracy,
    auroc,
    average_precision,
    balanced_accuracy,
    exact_match,
    f1,
    loss,
    quadratic_kappa,
    recall,
)
from .values import mean_absolute_error, pearson, r2, root_mean_squared_error
from .weighted import Weighted


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        compute: Gives it for every weighting of some rows, NaN where it is undefined.
        label: What people call it; empty where no page shows it.
        form: How it is written: a `rate` in percent, an `error` with three digits, else three decimals.
        bounds: The smallest and the largest value it may have.
        is_part: Whether it is a part of the images, of which there is an exact interval.
        of_probabilities: Whether it is computed from the probabilities; else from the decisions.
        word: What the gate calls it where it must be kept, in plain letters; empty for its label.
    """

    compute: Callable[[Weighted], Array]
    label: str
    form: Literal["rate", "error", "number"] = "number"
    bounds: tuple[float, float] = (0.0, 1.0)
    is_part: bool = False
    of_probabilities: bool = False
    word: str = ""


METRICS = {  # in the order of the pages
    "accuracy": Metric(accuracy, "Accuracy", "rate", is_part=True, word="accuracy"),
    "balanced_accuracy": Metric(balanced_accuracy, "Balanced accuracy", "rate"),
    "exact_match": Metric(exact_match, "Exact match", "rate", is_part=True),
    "quadratic_kappa": Metric(quadratic_kappa, "Quadratic kappa", bounds=(-1.0, 1.0)),
    "mean_absolute_error": Metric(mean_absolute_error, "Mean absolute error", "error", (0.0, math.inf)),
    "root_mean_squared_error": Metric(root_mean_squared_error, "Root mean squared error", "error", (0.0, math.inf)),
    "r2": Metric(r2, "R\N{SUPERSCRIPT TWO}", bounds=(-math.inf, 1.0), word="R2"),
    "pearson": Metric(pearson, "Pearson correlation", bounds=(-1.0, 1.0)),
    "auroc": Metric(auroc, "AUROC", of_probabilities=True),
    "average_precision": Metric(average_precision, "Average precision", of_probabilities=True),
    "f1": Metric(f1, "F1"),
    "recall": Metric(recall, ""),  # the gate asks for it
    "loss": Metric(loss, "", bounds=(0.0, math.inf), of_probabilities=True),
}
LABELS = {name: metric.label for name, metric in METRICS.items() if metric.label}
