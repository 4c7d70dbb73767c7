"""One label per picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from src.tasks.base import Setting, VisionTask


class ClassificationTask(VisionTask):
    """Cross-entropy over the classes."""

    def __init__(self, setting: Setting, label_smoothing: float = 0.0, **options: Any) -> None:
        """Keep the choices.

        Args:
            setting: Backbone, adaptation, image and task.
            label_smoothing: Part of each target that is spread over all classes, 0 to 1.
            **options: As `VisionTask`.
        """
        super().__init__(setting, **options)
        self._label_smoothing = label_smoothing

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy, with class indices or probabilities; smoothed in training alone."""
        smoothing = self._label_smoothing if self.training else 0.0
        if weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=smoothing)
        return (weights * F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")).mean()

    def metrics(self) -> MetricCollection:
        """Return accuracy, balanced accuracy, F1, AUROC, average precision and the confusion matrix.

        The averages over classes are macro; the run's final figures, with the positive class, are
        `src.report.metrics.compute`.
        """
        classes = len(self.setting.task.classes)
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "balanced_accuracy": MulticlassAccuracy(classes, average="macro"),
                "f1": MulticlassF1Score(classes, average="macro"),
                "auroc": MulticlassAUROC(classes),
                "average_precision": MulticlassAveragePrecision(classes),
                "confusion": MulticlassConfusionMatrix(classes),
            },
            compute_groups=False,
        )
