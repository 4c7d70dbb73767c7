"""Progress of the training in a run folder, and whether it can be resumed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

CHECKPOINTS = "checkpoints"
_STOPS = {"wait_count", "patience", "stopped_epoch"}  # what a callback that stops a training early keeps


@dataclass(frozen=True)
class Progress:
    """Progress of a training.

    Attributes:
        epochs: Number of finished epochs.
        steps: Number of optimiser steps.
        stopped: Whether early stopping has ended the training.
    """

    epochs: int
    steps: int
    stopped: bool


NOTHING = Progress(0, 0, stopped=False)


def can_resume(folder: Path) -> bool:
    """Return whether a training in `folder` has finished an epoch, from which it can be resumed."""
    return last_checkpoint(folder).is_file()


def last_checkpoint(folder: Path) -> Path:
    """Return where the checkpoint of the last whole epoch lies."""
    return folder / CHECKPOINTS / "last.ckpt"


def read_progress(folder: Path) -> Progress:
    """Read how far the training in `folder` came; a training without a whole epoch is at its start.

    Raises:
        ValueError: The checkpoint is damaged.
    """
    path = last_checkpoint(folder)
    if not path.is_file():
        return NOTHING
    try:
        # `weights_only`: a checkpoint from elsewhere must not run code.
        kept = torch.load(path, map_location="cpu", weights_only=True)
        epochs, states = int(kept["epoch"]) + 1, kept.get("callbacks", {}).values()
        stopped = any(_has_stopped(state, epochs) for state in states if isinstance(state, dict))
        return Progress(epochs, int(kept["global_step"]), stopped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:80]
        raise ValueError(f"{path} is damaged ({reason}): bring it back, or begin a new training") from error


def require_unfinished(folder: Path, trainer: Mapping[Any, Any], stops_early: bool, changed: bool) -> None:
    """Refuse to resume a training that is finished.

    Args:
        folder: The run folder.
        trainer: The settings of `TrainerOptions` with which it would go on.
        stops_early: Whether a callback is to stop it early.
        changed: Whether the user asks for another end than that of the training so far.

    Raises:
        ValueError: All was done; the message says what would go on.
    """
    if not _is_judged(folder, done := read_progress(folder)):
        return
    count = "1 epoch" if done.epochs == 1 else f"{done.epochs} epochs"
    nothing = f"there is nothing to resume: {folder}"
    for key, plus, made in (("max_epochs", "", done.epochs), ("max_steps", "+", done.steps)):
        asked = trainer.get(key)
        if isinstance(asked, int) and asked != -1 and made >= asked:
            raise ValueError(
                f"{nothing} is finished ({count}); to train on add {plus}trainer.{key}=NUMBER, above {made}"
            )
    if done.stopped and stops_early:
        raise ValueError(
            f"{nothing} stopped early after {count}, as its score rose no more; to train on all the same "
            "add '~callbacks.early_stopping'"
        )
    if not changed:
        longer = "+trainer.max_time=LONGER" if trainer.get("max_time") is not None else "trainer.max_epochs=NUMBER"
        raise ValueError(f"{nothing} has ended ({count}); to train on add {longer}")


def _has_stopped(state: dict[str, object], epochs: int) -> bool:
    if not set(state) >= _STOPS:
        return False
    waited, patience, at = (int(str(state[name])) for name in ("wait_count", "patience", "stopped_epoch"))
    return waited >= patience or (at > 0 and at == epochs - 1)


def _is_judged(folder: Path, done: Progress) -> bool:
    """Return whether the finished epochs have metrics and a report; the process may have been killed before."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    told = metrics.get("epochs") if isinstance(metrics, dict) else None
    return told == done.epochs and (folder / "report.html").is_file()
