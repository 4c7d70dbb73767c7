"""Outputs that are cheaper to compute again in the backward than to keep: of norms and of smooth activations.

Whoever would save such an output for its backward saves the input it was made from instead. The module that made it
keeps that input in any case, where it requires a gradient, so the output itself is free.
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
    """How to make a tensor again: `make(source)`, in the autocast that it was made in.

    It does not hold the source, which must go through `save_for_backward` alone: checkpointing and offloading hooks
    would not see it elsewhere.
    """

    make: Callable[[Tensor], Tensor]
    autocast: tuple[str, torch.dtype] | None
    dtype: torch.dtype

    def __call__(self, source: Tensor) -> Tensor:
        """Return the tensor again, from `source` as it came out of the backward's saved tensors."""
        with full_precision(source) if self.autocast is None else torch.autocast(*self.autocast):
            return self.make(source).to(self.dtype)


class Origin(NamedTuple):
    """What a remembered output was made from, and how; noted on the output itself."""

    source: Tensor
    remake: Remake
    versions: tuple[int, int]


def remember(output: Tensor, source: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    """Attach to `output` that it is `make(source)`, and return it.

    Nothing is attached where the source takes no gradient: then nobody else keeps it.
    """
    if not source.requires_grad:
        return output
    dtype = autocast_dtype(output)
    remake = Remake(make, None if dtype is None else (output.device.type, dtype), output.dtype)
    output._graft_origin = Origin(source, remake, (source._version, output._version))  # type: ignore[attr-defined]
    return output


def origin_of(output: Tensor) -> Origin | None:
    """Return what `output` can be made from again; None where that is unknown, or either was changed since."""
    origin: Origin | None = getattr(output, "_graft_origin", None)
    if origin is None or origin.versions != (origin.source._version, output._version):
        return None
    return origin
