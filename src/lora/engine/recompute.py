"""Recompute outputs of norms and smooth activations in the backward instead of saving them.

A layer that would save such an output saves the input of the norm instead. The norm saves that input in any case, where
it requires a gradient, so the memory of the output is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .modes import autocast_dtype
from .products import full_precision


@dataclass(frozen=True)
class Remake:
    """How to recompute a tensor: `make(source)`, under the autocast of the forward.

    It does not hold the source, which goes through `save_for_backward` alone: hooks of checkpointing and offloading
    see only what is saved there.
    """

    make: Callable[[Tensor], Tensor]
    autocast: tuple[str, torch.dtype] | None
    dtype: torch.dtype

    def __call__(self, source: Tensor) -> Tensor:
        """Return the recomputed tensor, for `source` from the saved tensors of the backward."""
        with full_precision(source) if self.autocast is None else torch.autocast(*self.autocast):
            return self.make(source).to(self.dtype)


class Origin(NamedTuple):
    """What an output was computed from, and how; kept as an attribute of the output."""

    source: Tensor
    remake: Remake
    versions: tuple[int, int]


def remember(output: Tensor, source: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    """Mark `output` as `make(source)`, and return it.

    It stays unmarked where the source needs no gradient: then no other layer saves the source.
    """
    if not source.requires_grad:
        return output
    dtype = autocast_dtype(output)
    remake = Remake(make, None if dtype is None else (output.device.type, dtype), output.dtype)
    output._graft_origin = Origin(source, remake, (source._version, output._version))  # type: ignore[attr-defined]
    return output


def origin_of(output: Tensor) -> Origin | None:
    """Return how to recompute `output`; None where that is unknown, or output or source was changed in place since."""
    origin: Origin | None = getattr(output, "_graft_origin", None)
    if origin is None or origin.versions != (origin.source._version, output._version):
        return None
    return origin
