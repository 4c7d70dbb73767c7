"""Any number of labels a picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MultilabelAccuracy,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelExactMatch,
    MultilabelF1Score,
)

from src.tasks.base import Setting, VisionTask
from src.tasks.imbalance import Imbalance


class MultilabelTask(VisionTask):
    """Binary cross-entropy of every label, averaged over the labels."""

    kind = "multilabel"

    def __init__(
        self,
        setting: Setting,
        label_smoothing: float = 0.0,
        imbalance: Imbalance = Imbalance(),  # noqa: B008  frozen
        **options: Any,
    ) -> None:
        """Keep the choices.

        Args:
            setting: Backbone, adaptation, image and task.
            label_smoothing: By how much presence and absence move towards one half in training, 0 to 1.
            imbalance: How rare labels are raised.
            **options: As `VisionTask`.
        """
        super().__init__(setting, **options)
        self._label_smoothing, self._imbalance = label_smoothing, imbalance

    def losses(self, logits: Tensor, targets: Tensor, smooth: bool = False) -> Tensor:
        """Return the loss of every image, with its labels (N x labels, 0 to 1)."""
        imbalance, frequencies = self._imbalance, self.setting.frequencies
        if smooth:
            targets = targets + self._label_smoothing * (0.5 - targets)
        if imbalance.logit_adjustment:
            logits = logits + imbalance.odds_shift(frequencies).to(logits.device)
        raised = imbalance.odds_weights(frequencies).to(logits.device) if imbalance.class_weights else None
        each = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=raised, reduction="none")
        if imbalance.focal:
            probability = logits.sigmoid()
            each = each * imbalance.focus(targets * probability + (1 - targets) * (1 - probability))
        return each.mean(1)

    def scored(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probabilities and whether the labels are there (N x labels)."""
        return logits.sigmoid(), targets.long()

    def metrics(self) -> dict[str, Metric]:
        """Return accuracy over all decisions, exact matches, and the labels' mean F1, AUROC and average precision."""
        labels = len(self.setting.task.classes)
        return {
            "accuracy": MultilabelAccuracy(labels, average="micro"),
            "exact_match": MultilabelExactMatch(labels),
            "f1": MultilabelF1Score(labels, average="macro"),
            "auroc": MultilabelAUROC(labels),
            "average_precision": MultilabelAveragePrecision(labels),
        }
