"""One class a picture."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .labels import LabelTask


class ClassificationTask(LabelTask):
    """Cross-entropy over the classes."""

    kind = "classification"

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
        return each * imbalance.focus(_distance(logits.softmax(1), targets)) if imbalance.focal else each


def _of_truth(values: Tensor, targets: Tensor) -> Tensor:
    """Return the value of every image's true class (N), of K values, weighted where the truth is soft."""
    return values[targets] if targets.ndim == 1 else targets @ values


def _distance(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return how far every image is from its truth (N), 0 to 1: half the sum of the differences (total variation)."""
    soft = F.one_hot(targets, probabilities.shape[1]) if targets.ndim == 1 else targets
    return (probabilities - soft).abs().sum(1) / 2
