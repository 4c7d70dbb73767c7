"""Derive the TaskSpec and class frequencies from the data."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence

import torch

from ..data import ImageData
from ..data.targets import soft_targets, weights
from ..spec import TaskSpec
from .score import require_score

log = logging.getLogger(__name__)

LEAST_SPREAD = 1e-5  # of the mean: float32 holds 7 digits
LEARNT = {"classification": "label", "ordinal": "label", "multilabel": "labels", "regression": "value"}
_WORDS = {"label": "one label", "labels": "any number of labels", "value": "a number"}


def specify(kind: str, data: ImageData, views: Sequence[str] = ("identity",)) -> TaskSpec:
    """Return what the outputs of a task on this data mean.

    Args:
        kind: One of `src.spec.KINDS`.
        data: The images, after `setup`.
        views: Flips and quarter turns that are averaged.

    Raises:
        ValueError: The data gives something else than the task learns, its training values are all the same, or as
            `require_score`.
    """
    require_learnt(kind, data)
    positive, standard = (None, _standard(data)) if kind == "regression" else (data.positive, ())
    require_score(kind, data.samples("val"))
    if kind == "ordinal":
        log.info("grades, lowest first: %s", " < ".join(data.classes))
    return TaskSpec(kind, data.classes, positive, tuple(views), *standard)


def _standard(data: ImageData) -> tuple[float, float]:
    """Return what a logit of 0 and a step of 1 stand for: mean and standard deviation of the training values."""
    values = [sample.value for sample in data.samples("train") if sample.value is not None]
    if min(values) == max(values):
        raise ValueError(f"every value of train is {values[0]:g}, so there is nothing to learn")
    center, spread = statistics.fmean(values), statistics.pstdev(values)
    if spread < LEAST_SPREAD * abs(center):
        raise ValueError(
            f"the values differ by {spread:.3g} around {center:.6g}, too little for float32: take off a constant"
        )
    return center, spread


def require_learnt(kind: str, data: ImageData, trained: str | None = None) -> None:
    """Refuse data that gives something else than a task learns.

    Args:
        kind: The task's.
        data: The images, listed.
        trained: The file that learnt it and is to be judged by them; None where it is still to be learnt.

    Raises:
        ValueError: It does.
    """
    target = data.listing.target
    if target != LEARNT[kind] and trained is not None:
        raise ValueError(
            f"{trained} learnt {_WORDS[LEARNT[kind]]} an image, and {data.listing.name} gives {_WORDS[target]}: "
            f"choose its column by data=table data.target={LEARNT[kind]}, or other images"
        )
    if target != LEARNT[kind]:
        able = [task for task, learnt in LEARNT.items() if learnt == target]
        raise ValueError(
            f"task={kind} learns {_WORDS[LEARNT[kind]]}, and {data.listing.name} gives {_WORDS[target]} an image: "
            f"add task={' or task='.join(able)}, or choose another data.target"
        )


def require_order(kind: str, data: ImageData) -> None:
    """Refuse grades whose order nobody has said: that of their names is none.

    Raises:
        ValueError: Nobody has.
    """
    if kind == "ordinal" and not data.listing.ordered:
        raise ValueError(
            f"task=ordinal learns grades, and nothing says the order of {', '.join(data.classes)}: with data=folder, "
            "table or huggingface name them by 'data.classes=[LOWEST,...,HIGHEST]'"
        )


def frequencies(data: ImageData) -> tuple[float, ...]:
    """Return the part of the training that each class has, in the order of the classes; none with values.

    Soft labels and the weights of the images count as they do in the loss.
    """
    if data.listing.target == "value":
        return ()
    samples, whole = data.samples("train"), torch.eye(len(data.classes))
    aims = [whole[aim] if isinstance(aim, int) else aim for aim in soft_targets(samples, data.classes)]
    counts = weights(samples)
    present = torch.stack(aims) if counts is None else torch.stack(aims) * counts[:, None]
    return tuple(present.mean(0).tolist())
