"""Early stopping that waits until the learning rate has fallen."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer, callbacks

FALLEN = 0.5  # of the highest learning rate


class EarlyStopping(callbacks.EarlyStopping):
    """Early stopping of Lightning that is active once the learning rate has fallen to half of its peak.

    The score often drops while the rate is high and recovers as it falls, so that earlier patience would stop at the
    worst moment. Thresholds and `check_finite` are inactive until then, too. With a constant learning rate it never
    stops: use the class of Lightning there.
    """

    highest = 0.0  # learning rate so far

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Follow the learning rate."""
        self.highest = max(self.highest, _rate(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count an epoch without improvement, if the rate has fallen; where every epoch is validated."""
        if self._has_fallen(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count an epoch without improvement, if the rate has fallen; where not every epoch is validated."""
        if self._has_fallen(trainer):
            super().on_validation_end(trainer, pl_module)

    def _has_fallen(self, trainer: Trainer) -> bool:
        if not trainer.optimizers:
            return False
        return _rate(trainer) <= FALLEN * self.highest and self.highest >= _peak(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Keep the highest rate too."""
        return {**super().state_dict(), "highest": self.highest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; an older checkpoint has counted from its beginning."""
        super().load_state_dict(state_dict)
        self.highest = float(state_dict.get("highest", 0.0))


def _rate(trainer: Trainer) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def _peak(trainer: Trainer) -> float:
    """Return the rate that the schedule multiplies, less what a peak between two steps may miss."""
    group = trainer.optimizers[0].param_groups[0]
    return 0.9 * float(group.get("initial_lr", group["lr"]))
