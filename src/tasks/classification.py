"""One class a picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from src.tasks.base import Setting, VisionTask
from src.tasks.imbalance import Imbalance


class ClassificationTask(VisionTask):
    """Cross-entropy over the classes."""

    kind = "classification"

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
            label_smoothing: Part of each target that is spread over all classes in training, 0 to 1.
            imbalance: How rare classes are raised.
            **options: As `VisionTask`.
        """
        super().__init__(setting, **options)
        self._label_smoothing, self._imbalance = label_smoothing, imbalance

    def losses(self, logits: Tensor, targets: Tensor, smooth: bool = False) -> Tensor:
        """Return the cross-entropy of every image, with class indices or probabilities."""
        return self._entropy(logits, targets, self._label_smoothing if smooth else 0.0)

    def _entropy(self, logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy of every image, rare classes raised."""
        imbalance, frequencies = self._imbalance, self.setting.frequencies
        if imbalance.logit_adjustment:
            logits = logits + imbalance.shift(frequencies).to(logits.device)
        each = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
        if imbalance.class_weights:
            each = each * _of_truth(imbalance.weights(frequencies).to(logits.device), targets)
        return each * imbalance.focus(_of_truth(logits.softmax(1), targets)) if imbalance.focal else each

    def metrics(self) -> dict[str, Metric]:
        """Return accuracy, balanced accuracy, F1, AUROC, average precision and the confusion matrix.

        The averages over classes are macro; the run's final figures, with the positive class, are
        `src.report.metrics.compute`.
        """
        classes = len(self.setting.task.classes)
        return {
            "accuracy": MulticlassAccuracy(classes, average="micro"),
            "balanced_accuracy": MulticlassAccuracy(classes, average="macro"),
            "f1": MulticlassF1Score(classes, average="macro"),
            "auroc": MulticlassAUROC(classes),
            "average_precision": MulticlassAveragePrecision(classes),
            "confusion": MulticlassConfusionMatrix(classes),
        }


def _of_truth(values: Tensor, targets: Tensor) -> Tensor:
    """Return the value of every image's true class (N): of K values or N x K, weighted where the truth is soft."""
    soft = F.one_hot(targets, values.shape[-1]) if targets.ndim == 1 else targets
    return (values * soft).sum(1)
