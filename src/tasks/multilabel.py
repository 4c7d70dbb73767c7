"""Any number of labels a picture."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .labels import LabelTask


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
