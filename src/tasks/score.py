"""Validation metrics during training: the same as in the report, and the score that selects the epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ..kinds import Decided, find_kind
from ..metrics import Figures, compute
from ..spec import TaskSpec

PARTS = 10
SCORED_EPOCHS = 3  # the window that an epoch is scored by: it and the two before it


class ScoreWindow:
    """Moving average of the scores of the last epochs: on a small validation split a single epoch is noisy.

    Attributes:
        scores: Of the last `SCORED_EPOCHS` epochs that were scored, or of those that there are.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.scores: list[float] = []

    def add(self, score: float) -> None:
        """Add the score of an epoch, and drop that of the epoch before the window."""
        self.scores = [*self.scores, score][-SCORED_EPOCHS:]

    @property
    def mean(self) -> float:
        """What an epoch is judged by."""
        return sum(self.scores) / len(self.scores)

    @property
    def is_whole(self) -> bool:
        """Whether there are as many scores as the window takes."""
        return len(self.scores) == SCORED_EPOCHS


class SplitFigures(Metric):
    """The figures of the images of one split, tracked over its batches (and, with several processes, over them).

    A figure such as AUROC is no mean of batches, so that logits and targets are what is kept.
    """

    full_state_update = False
    logits: list[Tensor]
    targets: list[Tensor]

    def __init__(self, task: TaskSpec) -> None:
        """Track what `task` decides."""
        super().__init__()
        self._task = task
        for name in ("logits", "targets"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: logits of N x outputs, and targets as `figures` takes them."""
        # Kept on their device: a copy for each batch would wait for the GPU.
        self.logits.append(logits)
        self.targets.append(targets)

    def compute(self) -> Figures:
        """Return the figures of all batches since the last `reset`, None where one is undefined."""
        return figures(dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.targets).cpu(), self._task)

    def standard_error(self, name: str) -> float:
        """Return the standard error of a figure of them, as the function does."""
        return standard_error(dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.targets).cpu(), self._task, name)


def figures(logits: Tensor, targets: Tensor, task: TaskSpec) -> Figures:
    """Return what the report says of these images.

    Args:
        logits: N x outputs.
        targets: As the data gives them without augmentation, see `src.data.targets`.
        task: What the outputs mean.
    """
    kind = find_kind(task.kind)
    probabilities, decided = kind.interpret(logits.double(), task)
    columns = (probabilities, kind.column(targets), decided)
    return compute(Decided(task.kind, task.classes, *(column.numpy() for column in columns)), task.positive)


def standard_error(logits: Tensor, targets: Tensor, task: TaskSpec, name: str) -> float:
    """Return the standard error of a figure over images like these: the jackknife that leaves out a tenth in turn.

    Args:
        logits: N x outputs.
        targets: As `figures`.
        task: What the outputs mean.
        name: Of the figure. Where too few tenths leave it defined, the error is 0.
    """
    parts = min(PARTS, len(logits)) if len(logits) > 1 else 0
    part = torch.arange(len(logits)) % PARTS  # the images come class by class: a part has some of each
    found = [figures(logits[part != each], targets[part != each], task)[name] for each in range(parts)]
    known = np.array([value for value in found if value is not None])
    return float(np.sqrt((len(known) - 1) * known.var())) if len(known) > 1 else 0.0
