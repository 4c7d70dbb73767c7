"""The recipe: settings that are derived from the data where the config says `auto`, see conf/README.md."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf

from ..backbones import Backbone
from ..data import ImageData
from ..targets import instantiate
from ..tasks import AUTO, TrainerOptions, examine_symmetry

log = logging.getLogger(__name__)

SYMMETRY = "data.augment.symmetry"
STEPS = 20.0  # optimiser steps for each square root of the number of training images
EPOCHS = (3, 60)  # the fewest: a whole window of scores; the most: a few images make one step an epoch


def settle_symmetry(config: DictConfig, backbone: Backbone, data: ImageData) -> None:
    """Find which flips and turns keep the class, for the augmentation.

    Args:
        config: Of a training; what is found takes the place of `auto` in it.
        backbone: Looks at flipped pictures, frozen.
        data: The images, after `setup`; gets the augmentation.
    """
    if OmegaConf.select(config, SYMMETRY) != AUTO:
        return
    if str(config.data.augment._target_).endswith(".none"):
        OmegaConf.update(config, SYMMETRY, "none")  # nothing is flipped anyway
        return
    found = examine_symmetry(backbone, data)
    OmegaConf.update(config, SYMMETRY, found.name)
    data.augment = instantiate(config.data.augment)
    _note(config, "symmetry", f"flips and turns: {found.name} ({found.why})")


def plan(config: DictConfig, trainer: TrainerOptions, data: ImageData) -> TrainerOptions:
    """Return the trainer's options with a number of epochs for these data, and put it into the config."""
    if trainer.max_epochs != AUTO:
        return trainer
    if trainer.max_steps != -1 or trainer.fast_dev_run:  # the steps alone, or the rehearsal, say where it ends
        config.trainer.max_epochs = 1 if trainer.fast_dev_run else -1
        return replace(trainer, max_epochs=config.trainer.max_epochs)
    images, batches = len(data.samples("train")), len(data.train_dataloader())
    steps = trainer.steps_of(batches)
    epochs = config.trainer.max_epochs = plan_epochs(images, steps)
    count = "1 step" if steps == 1 else f"{steps} steps"
    why = f"{STEPS:g} steps for each square root of the images"
    _note(config, "epochs", f"{images:,} images: {epochs} epochs of {count} ({why})")
    return replace(trainer, max_epochs=epochs)


def plan_epochs(images: int, steps: int) -> int:
    """Return the number of epochs: few images are seen often, very many three times.

    Args:
        images: Number of training images.
        steps: Optimiser steps of an epoch.
    """
    fewest, most = EPOCHS
    return min(most, max(fewest, math.ceil(STEPS * math.sqrt(images) / steps)))


def _note(config: DictConfig, choice: str, what: str) -> None:
    """Say what was chosen, and keep it for the report."""
    log.info("recipe: %s", what)
    config.recipe = {**(config.get("recipe") or {}), choice: what}
