"""What a task is built on."""

from __future__ import annotations

from dataclasses import dataclass

from ..backbones import Backbone
from ..spec import ImageSpec, TaskSpec
from .adaptation import Adaptation
from .views import require_turnable


@dataclass(frozen=True)
class Setting:
    """What a task is built on.

    Attributes:
        backbone: The network and its weights.
        adaptation: How it is made to learn.
        image: The network's input.
        task: Classes, positive class and views.
        seed: Decides the adapters' start and everything random in an epoch.
        frequencies: Part of the training images that each class has, in their order; needed where rare ones are raised.
    """

    backbone: Backbone
    adaptation: Adaptation
    image: ImageSpec
    task: TaskSpec
    seed: int = 0
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse views that the input's shape does not allow."""
        require_turnable(self.task.views, self.image)
