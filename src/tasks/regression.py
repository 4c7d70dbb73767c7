"""A number a picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, PearsonCorrCoef, R2Score

from src.tasks.base import Setting, VisionTask
from src.tasks.head import PENALTIES


class RegressionTask(VisionTask):
    """Huber loss of the standardised value."""

    kind = "regression"
    penalties = (1e2, 1e1, 1e0, *PENALTIES)  # R2 suffers of large weights, which leave a class what it was

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

    def scored(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decided values and the true ones (N), standardised: in float32, R2 loses large offsets."""
        return logits[:, 0], self._standard(targets)[:, 0]

    def metrics(self) -> dict[str, Metric]:
        """Return mean absolute error and root mean squared error in the values' unit, R2 and Pearson's correlation."""
        scale = self.setting.task.scale
        return {
            "mean_absolute_error": MeanAbsoluteError() * scale,
            "root_mean_squared_error": MeanSquaredError(squared=False) * scale,
            "r2": R2Score(),
            "pearson": PearsonCorrCoef(),
        }

    def _standard(self, targets: Tensor) -> Tensor:
        return (targets - self.setting.task.center) / self.setting.task.scale
