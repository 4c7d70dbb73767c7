"""The checkpoint of the latest epoch, from which a training is resumed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from .progress import CHECKPOINTS


class EpochCheckpoint(ModelCheckpoint):
    """Keep the last epoch's checkpoint, also in a run folder that was moved since."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the checkpoint left off, with its files where the folder is now."""

        def here(path: str) -> str:
            return os.path.join(str(self.dirpath), os.path.basename(path)) if path else path

        paths = {key: here(path) for key, path in state_dict.items() if key.endswith("_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": scores})


class StaysStopped(Callback):
    """End a resumed training at once if early stopping had ended it, unless early stopping was removed."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before the first epoch."""
        trainer.should_stop = bool(trainer.early_stopping_callbacks)


def latest_epoch(folder: Path) -> EpochCheckpoint:
    """Return the callback that keeps the latest epoch of the training in a run folder.

    Lightning's own `save_last` writes only when the best epoch changes, and a resumed training would lose epochs.
    """
    return EpochCheckpoint(folder / CHECKPOINTS, "last", enable_version_counter=False, save_on_train_epoch_end=True)
