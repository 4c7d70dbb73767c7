"""PEFT as a way to adapt, so that it is trained, timed and saved like Graft's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..lora.adapter_file import write_tensors
from ..lora.heads import head_state
from .methods import ALPHA, RANK, peft

FILE = "adapter_model.safetensors"
PREFIX = "base_model.model."


class Peft:
    """PEFT's LoRA on the layers that it shares with Graft, beside a trained head; frozen norms in eval mode."""

    def prepare(self, model: nn.Module) -> None:
        """Wrap the layers in place.

        Raises:
            ValueError: PEFT is not installed.
        """
        model.__dict__["peft"] = peft(model)  # beside the modules: it holds the model itself

    def start(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Begin with B = 0, as PEFT does."""

    def save(self, folder: Path, model: nn.Module, metadata: Mapping[str, Any]) -> Path:
        """Write `adapter_model.safetensors`: PEFT's tensors and the head's, under PEFT's names."""
        from peft import get_peft_model_state_dict

        learnt = get_peft_model_state_dict(model.__dict__["peft"], save_embedding_layers=False)
        learnt |= {PREFIX + name: value for name, value in head_state(model).items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in learnt.items()}
        return write_tensors(folder / FILE, tensors, {"format": "pt"})

    def merge(self, model: nn.Module) -> nn.Module:
        """Merge the adapters into the weights, in place."""
        merged: nn.Module = model.__dict__.pop("peft").merge_and_unload()
        return merged

    def remove(self, model: nn.Module) -> nn.Module:
        """Take the adapters out, in place."""
        plain: nn.Module = model.__dict__.pop("peft").unload()
        return plain

    def describe(self, model: nn.Module) -> tuple[str, ...]:
        """Say rank and alpha."""
        return (f"PEFT's LoRA of rank {RANK}, alpha {ALPHA:g}, on the layers that it can take",)
