"""Which epoch is shipped: the latest whose score is within chance of the best, the head alone being one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from src.atomic import write_bytes
from src.tasks.base import START, VisionTask

_STATE = ("epoch", "score", "top", "error", "whole")


class KeptEpoch(Callback):
    """Keep the checkpoint of the epoch that is shipped, as the training goes.

    An epoch is scored by the mean of a window of epochs, and whole windows alone count: a small validation split
    singles out lucky epochs. What differs from the best by no more than a standard error is as good, and of these the
    latest is kept, since it learnt at the lowest rate. The fitted head that a training begins with is judged like an
    epoch, so that one that falls below it keeps the head alone.

    Attributes:
        epoch: The epoch that is kept, `START` for the head alone; None before any is.
        score: Its score; of the head alone its own, of an epoch that of its window.
        top: The best score so far.
        error: Its standard error.
        whole: Whether any window was whole.
    """

    def __init__(self, path: Path) -> None:
        """Keep it in `path`."""
        self.path = path
        self.epoch: int | None = None
        self.score = self.top = -float("inf")
        self.error = 0.0
        self.whole = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the fitted head, unless a training goes on."""
        assert isinstance(module, VisionTask)
        if self.epoch is None and module.start_score is not None:
            self._offer(trainer, START, module.start_score, module.score_error)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the epoch if it is the one to ship so far."""
        assert isinstance(module, VisionTask)
        if not trainer.sanity_checking and module.window_is_whole:
            self.whole = True
            self._offer(trainer, trainer.current_epoch, module.window_score, module.score_error)

    def settle(self, last: Path, epoch: int, score: float, error: float) -> None:
        """Judge the last epoch too where the training was too short for a whole window.

        Args:
            last: The checkpoint of the last epoch.
            epoch: Which it is.
            score: The mean of the scores that there are.
            error: Its standard error.
        """
        if not self.whole and self._ships(score, error):
            write_bytes(self.path, last.read_bytes())
            self.epoch, self.score = epoch, score

    def state_dict(self) -> dict[str, Any]:
        """Keep in the checkpoint what was found so far."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in _STATE:
            setattr(self, name, state[name])

    def _offer(self, trainer: Trainer, epoch: int, score: float, error: float) -> None:
        ships = self._ships(score, error)
        if score > self.top:
            self.top, self.error = score, error
        if ships:
            self.epoch, self.score = epoch, score
            trainer.save_checkpoint(self.path)

    def _ships(self, score: float, error: float) -> bool:
        """Tell whether a score is within chance of the best; one without a mistake seems to have no error."""
        return score >= self.top - max(error, self.error)
