"""Any number of labels a picture."""

from __future__ import annotations

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

from src.tasks.labels import LabelTask


class MultilabelTask(LabelTask):
    """Binary cross-entropy of every label, averaged over the labels."""

    kind = "multilabel"

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
            each = each * imbalance.focus((logits.sigmoid() - targets).abs())
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
