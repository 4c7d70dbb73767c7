"""From which strangeness on a picture is unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .binomial import exact, risk_of, upper_bound
from .inputs import as_rate, as_scores
from .rounding import up


@dataclass(frozen=True)
class StrangeThreshold:
    """What is stranger than nearly all of the pictures that a line makes.

    Attributes:
        threshold: A float32; a picture is unknown if it is stranger than that.
        pictures: How many it was set by.
        alarms: How many of them are unknown.
        false_alarm_rate: Their share.
        false_alarm_upper_bound: Bound of the share on the line, at the confidence asked for; exact for any
            distribution, since the threshold is one of the values in order (Wilks, 1941).
    """

    threshold: float
    pictures: int
    alarms: int
    false_alarm_rate: float
    false_alarm_upper_bound: float


def fit_strange_threshold(
    strangeness: ArrayLike, false_alarms: float = 0.01, confidence: float = 0.95
) -> StrangeThreshold:
    """Return the threshold that at most `false_alarms` of some pictures exceed, and what that says of the line.

    The share on the line is promised by its bound only, which is wide with few pictures.

    Args:
        strangeness: Of pictures of the line that were not trained on, N.
        false_alarms: Share of them that may be unknown.
        confidence: Of the bound.

    Raises:
        ValueError: Values are NaN or all equal, the threshold would be infinite, or a rate is not between 0 and 1.
    """
    values = np.sort(as_scores(strangeness, "strangeness"))
    rate, risk = exact(as_rate(false_alarms, "false_alarms")), risk_of(as_rate(confidence, "confidence"))
    if values[0] == values[-1]:
        raise ValueError(f"all {len(values)} pictures are equally strange: were their features computed?")
    beyond = math.floor(len(values) * rate)
    threshold = up(float(values[len(values) - 1 - beyond]))
    if not math.isfinite(threshold):
        raise ValueError(f"more than {beyond} of {len(values)} pictures are infinitely strange: look at them first")
    alarms = int((values > threshold).sum())
    bound = upper_bound(beyond, len(values), risk)
    return StrangeThreshold(threshold, len(values), alarms, alarms / len(values), bound)
