"""The supported options of Lightning's trainer, validated before any data are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger

from ..choices import AUTO, require_epochs
from .checkpoint_file import WholeCheckpoints
from .precision import choose_precision


class LastStep(Callback):
    """End a training after its last step as an epoch ends, with a validation, wherever in the epoch that is."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Stop where the steps are used up."""
        if trainer.global_step >= trainer.max_steps > 0:
            trainer.should_stop = True


@dataclass(frozen=True)
class TrainerOptions:
    """What may be chosen of Lightning's trainer; the rest is Graft's own, or does not go with it.

    Attributes:
        max_epochs: Number of epochs; `auto` chooses it for the data, null or -1 leaves the end to `max_steps`.
        max_steps: Number of optimiser steps after which the training ends, -1 for no such end.
        min_epochs: Epochs before which early stopping does not end it.
        min_steps: Steps before which early stopping does not end it.
        max_time: Time after which it ends, as `DD:HH:MM:SS`; the epoch that runs is validated.
        accelerator: `auto`, `cpu`, `gpu` or another name of Lightning's.
        devices: `auto` or 1, which is the same, or a list of one GPU's index.
        precision: `auto`, `32`, `bf16` or `fp16`; validation and tests are always fp32.
        accumulate_grad_batches: Batches of which one step is made.
        gradient_clip_val: Largest norm (or value) of the gradients; null or 0 does not clip.
        gradient_clip_algorithm: `norm` or `value`.
        limit_train_batches: Batches of an epoch, as a number or as a part of them.
        limit_val_batches: Batches that an epoch is scored on, likewise.
        check_val_every_n_epoch: Epochs from one validation to the next; only those that are validated can be kept.
        num_sanity_val_steps: Batches to try validation on before the first step.
        fast_dev_run: Rehearse with one batch (or so many) of training and of validation, in one epoch.
        log_every_n_steps: Steps from one row of the logger to the next.
        enable_progress_bar: Whether a bar shows how far the epoch is.
        enable_model_summary: Whether the layers are listed.
        deterministic: Whether torch must use deterministic operations; `warn` warns of the others.
        benchmark: Whether cuDNN chooses its convolutions by trying.
        detect_anomaly: Whether autograd looks for what is not finite, slowly.
    """

    max_epochs: int | str | None = None
    max_steps: int = -1
    min_epochs: int | None = None
    min_steps: int | None = None
    max_time: str | None = None
    accelerator: str = "auto"
    devices: str | int | Sequence[int] = "auto"
    precision: str | int = "auto"
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: str | None = None
    limit_train_batches: int | float | None = None
    limit_val_batches: int | float | None = None
    check_val_every_n_epoch: int = 1
    num_sanity_val_steps: int = 0
    fast_dev_run: int | bool = False
    log_every_n_steps: int | None = None
    enable_progress_bar: bool = True
    enable_model_summary: bool = False
    deterministic: bool | str | None = None
    benchmark: bool | None = None
    detect_anomaly: bool = False

    def __post_init__(self) -> None:
        """Refuse what no training can follow, and what Lightning itself would refuse.

        Raises:
            ValueError: An option has no such value.
        """
        epochs = self.max_epochs
        require_epochs(epochs, self.max_steps)
        for name in ("accumulate_grad_batches", "check_val_every_n_epoch"):
            _require_at_least(1, name, getattr(self, name))
        for name in ("min_epochs", "min_steps", "num_sanity_val_steps", "log_every_n_steps", "gradient_clip_val"):
            _require_at_least(0, name, getattr(self, name))
        _require_at_least(0, "fast_dev_run", int(self.fast_dev_run))
        for name in ("limit_train_batches", "limit_val_batches"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"trainer.{name}={value} leaves no batch: give a number of batches, or a part as 0.5")
        if isinstance(epochs, int) and 0 < epochs < self.check_val_every_n_epoch and not self.fast_dev_run:
            raise ValueError(
                f"trainer.check_val_every_n_epoch={self.check_val_every_n_epoch} never comes in {epochs} epochs: no "
                "epoch could be scored and kept"
            )
        if self.deterministic not in (None, True, False, "warn"):
            raise ValueError(f"trainer.deterministic={self.deterministic} must be true, false or warn")
        self._require_one_device()

    def steps_of(self, batches: int) -> int:
        """Return the optimiser steps of an epoch of so many batches."""
        limit = batches if self.limit_train_batches is None else self.limit_train_batches
        taken = min(batches, limit) if isinstance(limit, int) else max(1, int(batches * limit))
        return math.ceil(taken / self.accumulate_grad_batches)

    def __call__(
        self, callbacks: Sequence[Callback] = (), logger: Sequence[Logger] = (), folder: Path | None = None
    ) -> Trainer:
        """Build the trainer.

        Args:
            callbacks: What follows the training.
            logger: Where it is logged to.
            folder: The run folder.

        Raises:
            ValueError: Lightning refuses an option, or this machine lacks what it asks for.
        """
        taken = {name: value for name, value in vars(self).items() if name != "precision"}
        taken["max_time"] = None if self.max_time is None else str(self.max_time)
        if self.max_epochs == AUTO:
            taken["max_epochs"] = 1  # to see whether Lightning takes the rest; `fit` wants it planned
        taken["devices"] = 1 if self.devices == "auto" else self._devices
        if self.fast_dev_run:  # Lightning's own keeps no checkpoint
            batches = int(self.fast_dev_run)
            taken |= {"max_epochs": 1, "max_steps": -1, "check_val_every_n_epoch": 1, "fast_dev_run": False}
            taken |= {"limit_train_batches": batches, "limit_val_batches": batches}
        shown = [each for each in callbacks if self.enable_progress_bar or not isinstance(each, ProgressBar)]
        try:
            return Trainer(
                **taken,
                callbacks=[*shown, LastStep()],
                logger=list(logger) or False,
                default_root_dir=folder,
                plugins=[choose_precision(self.precision, self.accelerator), WholeCheckpoints()],
            )
        except (MisconfigurationException, AttributeError, KeyError, RuntimeError, TypeError) as error:
            own = self.accelerator in ("auto", "cpu")  # else this machine may lack it
            way = "" if own else f"; trainer.accelerator={self.accelerator}: leave it out to take what there is"
            raise ValueError(f"trainer: {str(error).rstrip('.!')}{way}") from error

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self().strategy.root_device

    @property
    def _devices(self) -> str | int | list[int]:
        return self.devices if isinstance(self.devices, str | int) else list(self.devices)

    def _require_one_device(self) -> None:
        several = str(self.devices).isdigit() and int(str(self.devices)) > 1
        if several or self().num_devices > 1:
            raise ValueError(f"trainer.devices={self.devices} are several, and a training runs on one: leave it out")


def _require_at_least(least: int, name: str, value: float | None) -> None:
    if value is not None and not least <= value < math.inf:
        raise ValueError(f"trainer.{name}={value} must be {least} or more")
