"""Base of the tasks with classes or labels: label smoothing and class imbalance."""

from __future__ import annotations

from typing import Any

from .base import VisionTask
from .imbalance import Imbalance
from .setting import Setting


class LabelTask(VisionTask):
    """A task whose targets are classes or labels."""

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
            label_smoothing: Part of each target that is spread in training, over all classes, or over the presence and
                the absence of each label; 0 to 1.
            imbalance: How rare ones are raised.
            **options: As `VisionTask`.

        Raises:
            ValueError: The label smoothing is out of range.
        """
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"task.label_smoothing={label_smoothing} must be from 0 to 1")
        super().__init__(setting, **options)
        self._label_smoothing, self._imbalance = label_smoothing, imbalance
