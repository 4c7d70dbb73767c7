from collections.abc import Callable
from typing import Any

import pytest
import torch

from src.backbones import Backbone
from src.spec import TaskSpec
from src.tasks import Lora, Setting, VisionTask, warmup_cosine


@pytest.fixture
def make_task() -> Callable[..., VisionTask]:
    """Make a task on a tiny backbone, without building the network."""

    def make(cls: type[VisionTask], *classes: str, frequencies: tuple[float, ...] = (), **options: Any) -> VisionTask:
        backbone = Backbone("test_efficientnet", "none")
        fixed = {name: options.pop(name) for name in ("positive", "center", "scale") if name in options}
        spec = TaskSpec(cls.kind, classes, **fixed)
        setting = Setting(backbone, Lora(rank=2, targets="dense"), backbone.image_spec(), spec, 0, frequencies)
        return cls(setting, optimizer=torch.optim.AdamW, scheduler=warmup_cosine, **options)

    return make
