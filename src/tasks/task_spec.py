"""Derive the TaskSpec and class frequencies from the data."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from ..data import ImageData
from ..data.targets import soft_targets, weights
from ..kinds import Truth, find_kind, names_that_learn, require_task
from ..spec import TaskSpec

log = logging.getLogger(__name__)

_WORDS: dict[Truth, str] = {"label": "one label", "labels": "any number of labels", "value": "a number"}


def task_spec(kind: str, data: ImageData, views: Sequence[str] = ("identity",)) -> TaskSpec:
    """Return what the outputs of a task on this data mean.

    Args:
        kind: Name of the kind of task.
        data: The images, after `setup`.
        views: Flips and quarter turns that are averaged.

    Raises:
        ValueError: The data gives something else than the task learns, nothing can be learnt from the training images,
            or the score that steers the training does not exist on val.
    """
    require_learnt(kind, data)
    own = find_kind(kind)
    positive = data.positive if own.has_classes else None
    standard = own.standardise([sample.value for sample in data.samples("train") if sample.value is not None])
    if reason := own.why_no_score([sample.truth for sample in data.samples("val")]):
        raise ValueError(reason)
    if own.ordered:
        log.info("grades, lowest first: %s", " < ".join(data.classes))
    return require_task(TaskSpec(kind, data.classes, positive, tuple(views), *standard))


def require_learnt(kind: str, data: ImageData, trained: str | None = None) -> None:
    """Refuse data that gives something else than a task learns.

    Args:
        kind: The task's.
        data: The images, listed.
        trained: The file that learnt it and is to be judged by them; None where it is still to be learnt.

    Raises:
        ValueError: It does.
    """
    target, learns = data.index.target, find_kind(kind).learns
    if target != learns and trained is not None:
        raise ValueError(
            f"{trained} learnt {_WORDS[learns]} an image, and {data.index.name} gives {_WORDS[target]}: "
            f"choose its column by data=table data.target={learns}, or other images"
        )
    if target != learns:
        raise ValueError(
            f"task={kind} learns {_WORDS[learns]}, and {data.index.name} gives {_WORDS[target]} an image: "
            f"add task={' or task='.join(names_that_learn(target))}, or choose another data.target"
        )


def require_order(kind: str, data: ImageData) -> None:
    """Refuse grades whose order nobody has said: that of their names is none.

    Raises:
        ValueError: Nobody has.
    """
    if find_kind(kind).ordered and not data.index.ordered:
        raise ValueError(
            f"task={kind} learns grades, and nothing says the order of {', '.join(data.classes)}: with data=folder, "
            "table or huggingface name them by 'data.classes=[LOWEST,...,HIGHEST]'"
        )


def frequencies(data: ImageData) -> tuple[float, ...]:
    """Return the part of the training that each class has, in the order of the classes; none with values.

    Soft labels and the weights of the images count as they do in the loss.
    """
    if data.index.target == "value":
        return ()
    samples, whole = data.samples("train"), torch.eye(len(data.classes))
    one_hot = [whole[target] if isinstance(target, int) else target for target in soft_targets(samples, data.classes)]
    counts = weights(samples)
    present = torch.stack(one_hot) if counts is None else torch.stack(one_hot) * counts[:, None]
    return tuple(present.mean(0).tolist())
