"""The entries of an adapter pool: an adapter in memory, or the weighted sum of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .adapter_file import fill, other_folds, parameters, refuse_folded
from .adapters import Adapter, Blend
from .inject import Graft, grow
from .prepare import Rootstock
from .settings import LoraSettings
from .targets import Site


@dataclass
class PooledAdapter:
    """An adapter in memory.

    Attributes:
        settings: How it was made.
        folded: How many batch norms were folded in its training.
        head: The head's parameters and statistics, by their names in the model.
        further: Values of parameters that were unfrozen beside the adapters, by name.
        tensors: The adapters' values by name, until the modules are made.
        grafts: The modules, made at the first activation: they are initialised from the folded weights.
    """

    settings: LoraSettings
    folded: int
    head: dict[str, Tensor]
    further: dict[str, Tensor]
    tensors: dict[str, Tensor]
    grafts: tuple[Graft, ...] | None = None

    @property
    def statistics(self) -> dict[str, Tensor]:
        """Statistics of its head."""
        return {key: value for key, value in self.head.items() if not isinstance(value, nn.Parameter)}

    @property
    def bytes(self) -> int:
        """Size of all that it learnt, in bytes."""
        learnt = [
            *self.tensors.values(),
            *parameters(self.grafts or ()).values(),
            *self.head.values(),
            *self.further.values(),
        ]
        return sum(tensor.numel() * tensor.element_size() for tensor in learnt)

    def values(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the values of parameters that were unfrozen beside the adapters."""
        return self.further

    def grow(self, model: nn.Module, rootstock: Rootstock) -> tuple[Graft, ...]:
        """Return the modules for a prepared `model`.

        Raises:
            AdapterError: Other batch norms are folded here than in its training.
        """
        if self.grafts is None:
            if self.folded != rootstock.folded:
                raise other_folds("the adapter", self.folded, rootstock.folded)
            refuse_folded("the adapter", model, self.further)
            grafts = grow(model, self.settings)
            # Parameters and tensors would be the adapter twice in memory: the tensors go.
            fill(parameters(grafts), self.tensors)
            self.grafts, self.tensors = grafts, {}
        return self.grafts


@dataclass(frozen=True)
class PooledBlend:
    """Several adapters and their weights in the sum."""

    parts: tuple[tuple[PooledAdapter, float], ...]

    @property
    def settings(self) -> LoraSettings:
        """Settings of the first part."""
        return self.parts[0][0].settings

    @property
    def head(self) -> dict[str, Tensor]:
        """The weighted sum of the heads, whose statistics are equal."""
        (first, _), heads = self.parts[0], dict[str, Tensor]()
        for part, share in self.parts:
            for key in part.head.keys() - first.statistics.keys():
                value = part.head[key].detach()
                heads[key] = heads.get(key, torch.zeros_like(value)) + share * value
        return first.statistics | {key: nn.Parameter(value) for key, value in heads.items()}

    def values(self, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the base's values plus the weighted sum of the changes of what was unfrozen."""
        values: dict[str, Tensor] = {}
        for part, share in self.parts:
            for key, value in part.further.items():
                values[key] = values.get(key, base[key].detach()) + share * (value.to(base[key]) - base[key].detach())
        return values

    def grow(self, model: nn.Module, rootstock: Rootstock) -> tuple[Graft, ...]:
        """Return one module for each weight that any part adapts."""
        sites: dict[tuple[int, str], Site] = {}
        adapters: dict[tuple[int, str], list[tuple[Adapter, float]]] = {}
        for part, share in self.parts:
            for graft in part.grow(model, rootstock):
                weight = (id(graft.site.module), graft.site.attribute)
                sites[weight] = graft.site
                adapters.setdefault(weight, []).append((graft.adapter, share))
        return tuple(Graft(site, Blend(adapters[weight])) for weight, site in sites.items())
