"""Metrics of each epoch, written to `history.csv`; a resumed training continues the file."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ..atomic import write_text
from ..kinds import find_kind
from .base import START, VisionTask


class History(Callback):
    """Write `history.csv`: the head alone, then a row an epoch: losses, validation scores, learning rate, seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._start = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Note the fitted head as epoch -1, and start the clock where a training goes on inside an epoch."""
        self._start = time.perf_counter()
        if isinstance(module, VisionTask) and module.head_start is not None and not self.rows:
            found = module.head_start.figures.items()  # but the loss, which the training may weigh otherwise
            known = {name: value for name, value in found if value is not None and name != "loss"}
            self.rows = [{"epoch": START, **{f"val_{name}": value for name, value in known.items()}}]
            self.rows[0]["val_score"] = self.rows[0][f"val_{find_kind(module.kind).score}"]

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Add the epoch's row, or put it in the place of that of its first part; validation has run by now."""
        row: dict[str, float] = {"epoch": trainer.current_epoch}
        tracked = {key: value for key, value in trainer.callback_metrics.items() if "/" in key}
        row |= {key.replace("/", "_"): float(value) for key, value in sorted(tracked.items())}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = time.perf_counter() - self._start
        # An epoch that was interrupted and resumed has a row already.
        self.rows = [*(each for each in self.rows if each["epoch"] != row["epoch"]), row]
        self._write()

    def state_dict(self) -> dict[str, Any]:
        """Keep the rows in the checkpoint."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the rows of the checkpoint."""
        self.rows = list(state["rows"])

    def _write(self) -> None:
        buffer = io.StringIO()
        # Columns of all rows: the row of the head alone has other metrics than those of the epochs.
        writer = csv.DictWriter(buffer, fieldnames=list(dict.fromkeys(name for row in self.rows for name in row)))
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, buffer.getvalue())
