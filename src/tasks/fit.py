"""Fit a task: run the trainer, resume from a checkpoint, and load the epoch that is shipped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger

from ..allocator import keep_freed_memory
from ..choices import AUTO
from ..metrics import LABELS
from ..near import near
from ..spec import VIEWS
from .base import START, VisionTask
from .best_epoch import BestEpoch
from .history import History
from .latest_epoch import StaysStopped, latest_epoch
from .progress import CHECKPOINTS, NOTHING, last_checkpoint, read_progress
from .trainer import TrainerOptions


@dataclass(frozen=True)
class Fitted:
    """Summary of a fit.

    Attributes:
        epochs: Number of epochs that were trained, earlier parts of a resumed training included.
        best_epoch: The epoch whose weights were kept, -1 for the head alone that it began with.
        stopped_early: Whether it ended before the last epoch asked for.
        train_seconds: Time of this fit, the head's start included, and of its features where the label check has them.
        seconds_per_epoch: Mean time of an epoch, its validation included.
        history: The rows of `history.csv`.
    """

    epochs: int
    best_epoch: int
    stopped_early: bool
    train_seconds: float
    seconds_per_epoch: float
    history: tuple[dict[str, float], ...] = ()

    @property
    def costs(self) -> dict[str, Any]:
        """What `metrics.json` holds of it."""
        return {name: value for name, value in vars(self).items() if name != "history"}


def require_monitored(callbacks: Sequence[Callback]) -> None:
    """Refuse a callback that monitors a metric which is not logged.

    Raises:
        ValueError: There is one; near names are listed.
    """
    known = ("train/loss", "val/loss", "val/score", *(f"val/{name}" for name in LABELS))
    for callback in callbacks:
        figure = getattr(callback, "monitor", None)
        if figure is not None and figure not in known:
            raise ValueError(f"no epoch has {figure}{near(str(figure), known)}: monitor one of {', '.join(known)}")


def fit(
    task: VisionTask,
    data: LightningDataModule,
    trainer: TrainerOptions,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    resume: bool = False,
) -> Fitted:
    """Train `task`, leave its best epoch's weights in it, and `checkpoints/` and `history.csv` in `folder`.

    Args:
        task: What is trained; its network may already be built.
        data: Its batches.
        trainer: Builds Lightning's trainer.
        folder: The run folder.
        callbacks: More callbacks, such as early stopping.
        loggers: Lightning loggers.
        resume: Go on from the folder's last checkpoint; without one the training begins anew.

    Raises:
        ValueError: The epochs are not planned; the checkpoint is damaged, or another model's; a callback waits for a
            figure that is not there; no epoch was scored.
        KeyboardInterrupt: It was stopped; what whole epochs left is in `folder`.
    """
    _require_planned(trainer)
    require_monitored(callbacks)
    keep_freed_memory()  # before the first step: the allocator keeps what later steps reuse
    done = read_progress(folder) if resume else NOTHING
    best, history = BestEpoch(folder / CHECKPOINTS / "best.ckpt"), History(folder / "history.csv")
    if done.epochs:
        best.adopt()
    own = [best, latest_epoch(folder), history, RichProgressBar(), *[StaysStopped()] * done.stopped]
    built = trainer([*callbacks, *own], loggers, folder)
    seconds = _run(built, task, data, last_checkpoint(folder) if done.epochs else None)
    return _summary(built, history.rows, _load_best(task, best), seconds)


def _require_planned(trainer: TrainerOptions) -> None:
    if trainer.max_epochs == AUTO:
        raise ValueError(f"trainer.max_epochs={AUTO} is still to be planned for the data: give a number")


def _run(trainer: Trainer, task: VisionTask, data: LightningDataModule, checkpoint: Path | None) -> float:
    """Let Lightning train, return the seconds that it took, and say in our terms what it raises."""
    start = time.perf_counter() - task.seconds_ahead
    try:
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stopped:  # Lightning ends the process on Ctrl-C, as if it had failed
        raise KeyboardInterrupt from stopped
    except MisconfigurationException as error:  # what Lightning sees only when it begins
        raise ValueError(f"trainer: {error}") from error
    except RuntimeError as error:
        if "stopping conditioned on metric" not in str(error):
            raise
        raise ValueError(str(error)) from error  # a metric of another kind of task
    return time.perf_counter() - start


def _load_best(task: VisionTask, best: BestEpoch) -> int:
    """Put the weights of the epoch that is shipped into the task, and return its number.

    The head alone was fitted and scored on images as they are: other views of them, which epochs learn to see, may
    cost it more than it was kept for. So it ships without them.
    """
    shipped = best.shipped()
    if shipped is None:
        raise ValueError("the training ended before an epoch was scored, so that none can be kept: give it more time")
    path, epoch = shipped
    task.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"], strict=False)
    if epoch == START:
        task.setting = replace(task.setting, task=replace(task.setting.task, views=VIEWS[:1]))
    return epoch


def _summary(trainer: Trainer, rows: Sequence[dict[str, float]], best_epoch: int, seconds: float) -> Fitted:
    times = [row["seconds"] for row in rows if row["epoch"] != START]
    early = len(times) < (trainer.max_epochs or 0) and not 0 < trainer.max_steps <= trainer.global_step
    return Fitted(len(times), best_epoch, early, seconds, sum(times) / len(times) if times else 0.0, tuple(rows))
