"""A number a picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .base import VisionTask
from .head import PENALTIES
from .setting import Setting


class RegressionTask(VisionTask):
    """Huber loss of the standardised value."""

    kind = "regression"
    penalties = (1e2, 1e1, 1e0, *PENALTIES)  # large weights lower R2, while a class stays the same

    def __init__(self, setting: Setting, delta: float = 1.0, **options: Any) -> None:
        """Keep the choices.

        Args:
            setting: Backbone, adaptation, image and task; its center and scale standardise the values.
            delta: From which error on, in standard deviations of the values, the loss grows linearly.
            **options: As `VisionTask`.
        """
        super().__init__(setting, **options)
        self._delta = delta

    def losses(self, logits: Tensor, targets: Tensor, smooth: bool = False) -> Tensor:
        """Return the loss of every image, with its value (N x 1)."""
        return F.huber_loss(logits, self._standard(targets), reduction="none", delta=self._delta).mean(1)

    def _standard(self, targets: Tensor) -> Tensor:
        return (targets - self.setting.task.center) / self.setting.task.scale
