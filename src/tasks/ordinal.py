"""One of ordered grades a picture."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .classification import ClassificationTask
from .setting import Setting


class OrdinalTask(ClassificationTask):
    """Cross-entropy whose targets reach to the grades beside, so that a near miss costs less than a far one.

    A target is softmax(-|grade - true grade| / spread) over the grades (Diaz and Marathe, Soft Labels for Ordinal
    Regression, CVPR 2019). The decision is the median grade.
    """

    kind = "ordinal"

    def __init__(self, setting: Setting, spread: float = 0.5, **options: Any) -> None:
        """Keep the choices.

        Args:
            setting: Backbone, adaptation, image and task.
            spread: How far a target reaches, in grades; near 0 it is the grade alone.
            **options: As `ClassificationTask`.

        Raises:
            ValueError: The spread is not above 0.
        """
        if not spread > 0:
            raise ValueError(f"task.spread={spread} must be above 0: 0.1 is nearly the grade alone")
        super().__init__(setting, **options)
        grades = torch.arange(len(setting.task.classes), dtype=torch.float32)
        self._reach = (-(grades[:, None] - grades).abs() / spread).softmax(1)

    def losses(self, logits: Tensor, targets: Tensor, smooth: bool = False) -> Tensor:
        """Return the cross-entropy of every image, with grades (N) or their probabilities (N x grades)."""
        if not smooth:
            return self._entropy(logits, targets)
        soft = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
        return self._entropy(logits, soft.to(logits.dtype) @ self._reach.to(logits), self._label_smoothing)
