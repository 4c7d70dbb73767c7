"""Compare the metrics of two sets of views."""

from __future__ import annotations

from ..kinds import find_kind
from ..metrics import LABELS, compute
from . import formats
from .predictions import Predictions
from .terminal import SPLIT_NAMES


def describe_views(own: Predictions, chosen: Predictions, positive: str | None, passes: tuple[int, int]) -> str:
    """Return in one line what other views make of the figures, and of the time that the network takes.

    Args:
        own: Rows of one split by the views of the training.
        chosen: The rows of the same images by the others.
        positive: The class that counts as the defect, or None.
        passes: How many forward passes a picture costs, before and after.
    """
    kind = find_kind(own.kind)
    before, after = (compute(rows, positive) for rows in (own, chosen))
    told = [
        f"{LABELS[name]} {formats.metric(name, before[name])} -> {formats.metric(name, after[name])}"
        for name in kind.headline
    ]
    if kind.has_classes:
        told.append(f"{sum(a != b for a, b in zip(own.predicted, chosen.predicted, strict=True))} changed decisions")
    where = f"{SPLIT_NAMES[own.splits[0]]}, {len(own)} images"
    return f"views: {passes[0]} -> {passes[1]} forward passes a picture; in torch ({where}) {', '.join(told)}"
