"""From a model's logits to rows that can be scored, written and read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..data import Sample
from ..kinds import find_kind
from ..spec import JOINT, TaskSpec
from .predictions import Predictions


def tabulate(logits: Mapping[str, Tensor], samples: Mapping[str, list[Sample]], task: TaskSpec) -> Predictions:
    """Return one row per image for the logits (N x classes) and the images of every split.

    Paths are relative to the working folder where the image lies in it, else absolute.
    """
    rows = [(split, sample) for split in logits for sample in samples[split]]
    kind = find_kind(task.kind)
    probabilities, decided = kind.interpret(torch.cat([logits[split].double() for split in logits]), task)
    return Predictions(
        paths=tuple(_shown(sample.path) for _, sample in rows),
        splits=tuple(split for split, _ in rows),
        targets=tuple(_truth(sample, task) for _, sample in rows),
        predicted=tuple(str(kind.decode(decision, task.classes)) for decision in decided),
        probabilities=probabilities.numpy(),
        classes=task.classes,
        kind=task.kind,
    )


def _truth(sample: Sample, task: TaskSpec) -> str:
    if sample.labels is None:
        return sample.truth
    return JOINT.join(name for name in task.classes if name in sample.labels)


def _shown(path: Path) -> str:
    absolute = Path(os.path.abspath(path))
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
