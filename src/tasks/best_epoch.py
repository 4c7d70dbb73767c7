"""Choose the epoch that is shipped: the latest whose score is within one standard error of the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from .base import START, VisionTask

_STATE = ("epoch", "top", "error", "whole", "short")


class BestEpoch(Callback):
    """Keep the checkpoint of the epoch that is shipped, as the training goes.

    An epoch is scored by the mean of a window of epochs, and whole windows alone count: a small validation split
    singles out lucky epochs. What differs from the best by no more than a standard error, its own or that of the best,
    is as good, and of these the latest is kept, since it learnt at the lowest rate. The fitted head that a training
    begins with is judged like an epoch, so that one that falls below it keeps the head alone. Only a training that ends
    before any window is whole ships by a part of one.

    Attributes:
        epoch: The epoch that is kept, `START` for the head alone; None before any is.
        top: The best score so far; of the head alone its own, of an epoch that of its window.
        error: Its standard error.
        whole: Whether any window was whole.
        short: The epoch that is kept as long as none was; it lies in a file of its own.
    """

    def __init__(self, path: Path) -> None:
        """Keep it in `path`."""
        self.path, self.path_of_short = path, path.with_name("short.ckpt")
        self.epoch: int | None = None
        self.short: int | None = None
        self.top, self.error = -float("inf"), 0.0
        self.whole = False

    @property
    def state_key(self) -> str:
        """The key of the state in a checkpoint: the name that this class had when the first ones were written."""
        return "KeptEpoch"

    def shipped(self) -> tuple[Path, int] | None:
        """Return the checkpoint to ship and its epoch; None where nothing was scored."""
        if self.short is not None:
            return self.path_of_short, self.short
        return None if self.epoch is None else (self.path, self.epoch)

    def adopt(self) -> None:
        """Take up what an older version kept, whose checkpoint of the last epoch knows nothing of this one."""
        if self.path.is_file():
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            scores = [state.get("best_model_score") for state in kept["callbacks"].values()]
            known = [score for score in scores if score is not None]  # the callback of the last epoch has none
            if known:
                self.epoch, self.top, self.whole = int(kept["epoch"]), float(known[0]), True

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the fitted head, unless a training goes on."""
        assert isinstance(module, VisionTask)
        if self.epoch is None and module.start_score is not None:
            self._offer(trainer, START, module.start_score, module.score_error)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the epoch if it is the one to ship so far."""
        assert isinstance(module, VisionTask)
        if trainer.sanity_checking:
            return
        score, error = module.window.mean, module.score_error
        # Until a window is whole, the best of the first epochs is kept in a file of its own.
        if module.window.is_whole:
            self.whole, self.short = True, None
            self._offer(trainer, trainer.current_epoch, score, error)
            self.path_of_short.unlink(missing_ok=True)
        elif self._ships(score, error):
            self.short = trainer.current_epoch
            trainer.save_checkpoint(self.path_of_short)

    def state_dict(self) -> dict[str, Any]:
        """Keep in the checkpoint what was found so far."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in _STATE:
            setattr(self, name, state[name])

    def _offer(self, trainer: Trainer, epoch: int, score: float, error: float) -> None:
        # Decide before the update, by the best so far; a new best always ships.
        ships = self._ships(score, error)
        if score > self.top:
            self.top, self.error = score, error
        if ships:
            self.epoch = epoch
            trainer.save_checkpoint(self.path)

    def _ships(self, score: float, error: float) -> bool:
        """Return whether a score is within a standard error of the best.

        The larger of the two errors counts: a score without a mistake has a standard error of zero.
        """
        return score >= self.top - max(error, self.error)
