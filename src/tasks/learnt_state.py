"""Checkpoints without the frozen base."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule
from torch import nn

from ..lora import injection_of


class LearntState(LightningModule):
    """Keep trained parameters alone in a checkpoint, or the whole state in full fine-tuning."""

    model: nn.Module

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen base out of the checkpoint."""
        checkpoint["state_dict"] = {name: checkpoint["state_dict"][name] for name in self._learnt()}
        checkpoint["base"] = self._base()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model."""
        if set(checkpoint["state_dict"]) != set(self._learnt()):
            raise ValueError("the checkpoint belongs to another model: resume with the run's own settings")
        if checkpoint.get("base", self._base()) != self._base():  # an older checkpoint does not say
            raise ValueError(
                "the training began with other weights of the backbone: say where those lie by backbone.weights=FILE"
            )

    def _base(self) -> str | None:
        """Return the hash of what is frozen under the adapters; None where every weight is in the checkpoint."""
        injection = injection_of(self.model)
        return None if injection is None else injection.base.values  # how it is built, the run's own settings say

    def _learnt(self) -> list[str]:
        parameters = dict(self.named_parameters())
        # In full fine-tuning buffers count too: norms have moved.
        frozen = any(not parameter.requires_grad for parameter in parameters.values())
        names = list(self.state_dict())
        return [name for name in names if name in parameters and parameters[name].requires_grad] if frozen else names
