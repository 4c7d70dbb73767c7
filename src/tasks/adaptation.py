"""Adaptation methods: LoRA, the head alone, or full fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from ..lora import Injection, Layer, LoraSettings, eva, inject, injection_of, merge, save_adapter
from ..lora.adapter_file import ADAPTER, WEIGHTS, write_tensors

EVA_BATCHES = 4


class Adaptation(Protocol):
    """Interface of an adaptation method."""

    def prepare(self, model: nn.Module) -> Injection | None:
        """Prepare `model` for training, in place: freeze, fold and inject."""

    def start(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Initialise adapters from batches of training images (N x 3 x H x W), where the method does."""

    def save(self, folder: Path, model: nn.Module, metadata: Mapping[str, Any]) -> Path:
        """Write the trained parameters into `folder` and return the file."""

    def merge(self, model: nn.Module) -> nn.Module:
        """Turn `model` into plain timm modules with the learnt weights, in place."""

    def describe(self, model: nn.Module) -> tuple[str, ...]:
        """Describe in short lines what `prepare` did."""


@dataclass(frozen=True)
class Lora(LoraSettings):
    """Low-rank adapters beside a trained head; without targets the head alone."""

    def prepare(self, model: nn.Module) -> Injection:
        """Inject the adapters."""
        return inject(model, **vars(self))

    def start(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Turn the adapters of `init=eva` to the directions of a few batches."""
        if self.init == "eva":
            eva(model, islice(batches, EVA_BATCHES))

    def save(self, folder: Path, model: nn.Module, metadata: Mapping[str, Any]) -> Path:
        """Write `adapter.safetensors`."""
        return save_adapter(folder / ADAPTER, model, metadata)

    def merge(self, model: nn.Module) -> nn.Module:
        """Merge the adapters into the weights."""
        return merge(model)

    def describe(self, model: nn.Module) -> tuple[str, ...]:
        """Say rank, targets and what was folded."""
        injection = injection_of(model)
        assert injection is not None
        if not injection.layers:
            return ("head only, backbone frozen", f"{injection.folded} batch norms folded")
        dense = sum(layer.kind == "dense" for layer in injection.layers)
        targets = self.targets if isinstance(self.targets, str) else ", ".join(self.targets)
        return (
            f"LoRA of rank {self.rank}, alpha {self.alpha:g}, on {targets}",
            f"{len(injection.layers) - dense} low-rank and {dense} dense adapters, head trained in full",
            f"{injection.folded} batch norms folded into their convolutions",
            *self._unusual(),
        )

    def _unusual(self) -> list[str]:
        """Name the choices beyond rank, alpha, targets and folding that are not the default."""
        beyond = fields(LoraSettings)[4:]
        plain = vars(LoraSettings())
        return [f"{f.name}: {getattr(self, f.name)}" for f in beyond if getattr(self, f.name) != plain[f.name]]


@dataclass(frozen=True)
class Full:
    """Fine-tune every weight, for comparison."""

    def prepare(self, model: nn.Module) -> None:
        """Leave everything trainable, as timm built it."""

    def start(self, model: nn.Module, batches: Iterable[Tensor]) -> None:
        """Begin with the weights as they are."""

    def save(self, folder: Path, model: nn.Module, metadata: Mapping[str, Any]) -> Path:
        """Write `weights.safetensors`, the whole state."""
        # Clones: safetensors refuses tensors that share memory, as tied weights do.
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
        return write_tensors(folder / WEIGHTS, tensors, {"graft": json.dumps({"metadata": dict(metadata)})})

    def merge(self, model: nn.Module) -> nn.Module:
        """Return the model, which is plain already."""
        return model

    def describe(self, model: nn.Module) -> tuple[str, ...]:
        """Say that nothing is frozen."""
        return ("full fine-tuning, every weight trained",)


def layers(model: nn.Module) -> tuple[Layer, ...]:
    """Return the adapted weights of `model`; none for a plain one."""
    injection = injection_of(model)
    return injection.layers if injection is not None else ()
