"""From a config to what is trained and what it is trained on."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from ..data import ImageData
from ..targets import instantiate
from ..tasks import (
    Setting,
    VisionTask,
    frequencies,
    read_views,
    require_order,
    require_same_images,
    task_spec,
)

RAISED = ("class_weights", "logit_adjustment")  # what would count a rare class twice beside a balanced draw


def compose(config: DictConfig) -> tuple[ImageData, VisionTask]:
    """Build the data and the task that the config of a training names.

    Raises:
        ValueError: They cannot be had, do not go together, or rare classes would be raised twice.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    backbone = instantiate(config.backbone)
    data: ImageData = instantiate(config.data)(image=backbone.image_spec())
    if config.resume is not None:
        require_same_images(Path(config.run_dir), data)
    data.setup()
    # The task is built last: it needs classes, positive class and frequencies of the data.
    make = instantiate(config.task)
    if config.data.get("balanced") and any((config.task.get("imbalance") or {}).get(key) for key in RAISED):
        raise ValueError(
            "data.balanced draws rare classes often already: leave it out, or task.imbalance.class_weights"
        )
    if config.resume is None:  # an older run has its order
        require_order(make.func.kind, data)
    spec = task_spec(make.func.kind, data, read_views(config.views, data.image))
    adaptation = instantiate(config.lora, _convert_="all")
    setting = Setting(backbone, adaptation, data.image, spec, config.seed, frequencies(data))
    parts = {"optimizer": instantiate(config.optimizer), "scheduler": instantiate(config.scheduler)}
    task: VisionTask = make(setting, **parts)
    task.configure_model()
    task.require_steps()
    return data, task


def compose_callbacks(config: DictConfig) -> list[Callback]:
    """Build the callbacks that the config names."""
    return [each for each in instantiate(config.callbacks or {}).values() if each is not None]


def compose_loggers(config: DictConfig, folder: Path) -> list[Logger]:
    """Build the loggers that the config names.

    Raises:
        ValueError: The library of one is not installed.
    """
    try:
        return [logger(save_dir=folder) for logger in instantiate(config.logger or {}).values()]
    except ModuleNotFoundError as error:
        raise ValueError(f"logger: {error}") from error
