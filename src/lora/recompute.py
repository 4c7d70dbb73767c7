"""Outputs that are cheaper to compute again in the backward than to keep: of norms and of smooth activations.

Whoever would save such an output for its backward saves the input it was made from instead. The module that made it
keeps that input in any case, so the output itself is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.lora.products import full_precision


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make a tensor again: `make(source)`, in the autocast that it was made in."""

    source: Tensor
    make: Callable[[Tensor], Tensor]
    versions: tuple[int, int]
    autocast: tuple[str, torch.dtype] | None
    dtype: torch.dtype

    def cook(self, source: Tensor) -> Tensor:
        """Return the tensor again, from `source` as it came out of the backward's saved tensors."""
        with torch.no_grad(), full_precision(source) if self.autocast is None else torch.autocast(*self.autocast):
            return self.make(source).to(self.dtype)


def remember(output: Tensor, source: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    """Attach to `output` that it is `make(source)`, and return it."""
    device = output.device.type
    autocast = (device, torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else None
    recipe = Recipe(source, make, (source._version, output._version), autocast, output.dtype)
    output.recipe = recipe  # type: ignore[attr-defined]
    return output


def recipe_of(output: Tensor) -> Recipe | None:
    """Return how `output` can be made again; None where that is unknown, or it or its source was changed since."""
    recipe: Recipe | None = getattr(output, "recipe", None)
    if recipe is None or recipe.versions != (recipe.source._version, output._version):
        return None
    return recipe
