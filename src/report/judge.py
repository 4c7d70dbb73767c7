"""From a model's logits to rows that can be scored, written and read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from src.data import Sample
from src.report.predictions import Predictions
from src.spec import TaskSpec


def tabulate(logits: Mapping[str, Tensor], samples: Mapping[str, list[Sample]], task: TaskSpec) -> Predictions:
    """Return one row per image for the logits (N x classes) and the images of every split.

    Paths are relative to the working folder where the image lies in it, else absolute.
    """
    rows = [(split, sample) for split in logits for sample in samples[split]]
    outputs = [row for split in logits for row in logits[split].double()]
    return Predictions(
        paths=tuple(_shown(sample.path) for _, sample in rows),
        splits=tuple(split for split, _ in rows),
        targets=tuple(sample.label for _, sample in rows),
        predicted=tuple(task.classes[int(output.argmax())] for output in outputs),
        probabilities=torch.stack(outputs).softmax(1).numpy(),
        classes=task.classes,
    )


def _shown(path: Path) -> str:
    absolute = Path(os.path.abspath(path))
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
