"""What a head of zeros hides: everything before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from src.lora.targets import classifiers


@contextmanager
def heads_that_read(model: nn.Module) -> Iterator[None]:
    """Fill inside what a head holds of zeros only: it would pass nothing on, forward or backward."""
    zeros = [p for head in classifiers(model) for p in head.parameters() if p.ndim > 1 and not p.any()]
    generator = torch.Generator().manual_seed(0)
    try:
        for parameter in zeros:
            parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        yield
    finally:
        for parameter in zeros:
            parameter.data.zero_()
