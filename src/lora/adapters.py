"""The kinds of adapter: each is a small module that turns the frozen W into the adapted W'."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from src.lora.gradients import merged
from src.lora.weight import LowRankWeight


class Adapter(nn.Module):
    """What is added to one weight; `weight(W)` is the only thing a layer asks of it.

    `rows` (out) holds the factor of each output row while a batch norm is folded into the layer. The update is learnt
    for the folded weight, whose rows are of one size, and divided by the factors when it is merged: learnt for the
    plain weight of EfficientNet-Lite0, one learning rate is 50 times too high for some channels and too low for others.
    """

    kind: str
    rows: Tensor | None

    def __init__(self, rows: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("rows", rows, persistent=False)

    def weight(self, base: Tensor) -> Tensor:
        """Return W' for the (possibly folded) frozen weight `base`, of the same shape."""
        raise NotImplementedError

    def merge(self, base: Tensor) -> Tensor:
        """Return W' for the plain weight `base`, whatever is folded at the moment."""
        with torch.no_grad():
            if self.rows is None:
                return self.weight(base)
            delta = self.weight(torch.zeros_like(base))
            return base + delta / self.rows.view(-1, *[1] * (base.ndim - 1))


class LowRank(Adapter):
    """W + (alpha / rank) B A, the LoRA of Hu et al. (arXiv 2106.09685) on a weight seen as out x fan_in."""

    kind = "low-rank"

    def __init__(self, base: Tensor, rank: int, alpha: float, rows: Tensor | None = None) -> None:
        super().__init__(rows)
        out, fan_in = base.shape[0], base[0].numel()
        self.A = nn.Parameter(base.new_empty(rank, fan_in))
        self.B = nn.Parameter(base.new_zeros(out, rank))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def weight(self, base: Tensor) -> Tensor:
        """Return W + scale B A: a `LowRankWeight` where gradients are taken, else the dense sum."""
        b = self.B * self.scale
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return LowRankWeight.of(base, b, self.A)
        return merged(base, b, self.A)


class Dense(Adapter):
    """W + D, for layers so small that a low-rank pair would cost more than D (depthwise convolutions)."""

    kind = "dense"

    def __init__(self, base: Tensor, rows: Tensor | None = None) -> None:
        super().__init__(rows)
        self.D = nn.Parameter(torch.zeros_like(base, memory_format=torch.contiguous_format))

    def weight(self, base: Tensor) -> Tensor:
        """Return W + D."""
        return base + self.D


def shapes(base: Tensor, rank: int) -> dict[str, tuple[int, ...]]:
    """Return the parameter shapes of the cheaper adapter for `base`: A and B, or D where the pair would cost more."""
    out, fan_in = base.shape[0], base[0].numel()
    if rank * (out + fan_in) < out * fan_in:
        return {"A": (rank, fan_in), "B": (out, rank)}
    return {"D": tuple(base.shape)}
