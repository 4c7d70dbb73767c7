"""The kinds of adapter: each is a small module that turns the frozen W into the adapted W'."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from src.lora.gradients import merged
from src.lora.pissa import principal
from src.lora.weight import LowRankWeight

INITS = ("default", "pissa")


@dataclass(frozen=True)
class Recipe:
    """What one low-rank adapter is made with: rank, factor of the update, a word of `INITS`, and rank dropout."""

    rank: int
    scale: float
    init: str = "default"
    dropout: float = 0.0


class Adapter(nn.Module):
    """What is added to one weight; `weight(W)` is the only thing a layer asks of it.

    `rows` (out) holds the factor of each output row while a batch norm is folded into the layer: the adapter itself
    stays in the space of the plain weight, so a file does not depend on folding.
    """

    kind: str
    rows: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rows", None, persistent=False)

    def weight(self, base: Tensor) -> Tensor:
        """Return W' for the (possibly folded) frozen weight `base`, of the same shape."""
        raise NotImplementedError

    def fold(self, rows: Tensor | None) -> None:
        """Follow a batch norm that was folded into the weight (its factors, out), or taken out of it (None)."""
        self.rows = rows

    def merge(self, base: Tensor) -> Tensor:
        """Return W' for the plain weight `base`, whatever is folded at the moment and in whichever mode."""
        rows, mode = self.rows, self.training
        self.fold(None)
        self.eval()
        try:
            with torch.no_grad():
                return self.weight(base)
        finally:
            self.fold(rows)
            self.train(mode)


class LowRank(Adapter):
    """W + scale B A, the LoRA of Hu et al. (arXiv 2106.09685) on a weight seen as out x fan_in.

    With `pissa` the pair starts as the principal part of W, and that start (B0, A0) is subtracted instead of taken out
    of W: W itself is never touched.
    """

    kind = "low-rank"
    B0: Tensor | None
    A0: Tensor | None

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__()
        out, fan_in = base.shape[0], base[0].numel()
        self.A = nn.Parameter(base.new_empty(recipe.rank, fan_in))
        self.B = nn.Parameter(base.new_zeros(out, recipe.rank))
        self.scale, self.dropout = recipe.scale, nn.Dropout(recipe.dropout)
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        b, a = principal(base / self.scale, recipe.rank) if recipe.init == "pissa" else (None, None)
        self.register_buffer("B0", b, persistent=False)
        self.register_buffer("A0", a, persistent=False)
        if b is not None and a is not None:
            self.B.data.copy_(b)
            self.A.data.copy_(a)

    @classmethod
    def count(cls, base: Tensor, rank: int) -> int:
        """Return how many parameters the adapter of `base` has."""
        return rank * (base.shape[0] + base[0].numel())

    def plain_factors(self) -> tuple[Tensor, Tensor]:
        """Return b (out x k) and a (k x fan_in) with b a = B A - B0 A0, zero bit for bit at the start."""
        if self.B0 is None or self.A0 is None:
            return self.B, self.A
        return torch.cat([self.B - self.B0, self.B0], 1), torch.cat([self.A, self.A - self.A0])

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return b and a whose product is the update of the (possibly folded) weight, scale and dropout included."""
        b, a = self.plain_factors()
        b = b * self.scale
        if self.training and self.dropout.p:
            kept = self.dropout(torch.ones_like(self.B[0]))
            b = b * kept.repeat(b.shape[1] // len(kept))
        return (b if self.rows is None else b * self.rows[:, None]), a

    def weight(self, base: Tensor) -> Tensor:
        """Return W + scale B A: a `LowRankWeight` where gradients are taken, else the dense sum."""
        b, a = self.factors()
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return LowRankWeight.of(base, b, a)
        return merged(base, b, a)


class Dora(LowRank):
    """M V / |V| row by row, with V = W + scale B A (arXiv 2402.09353); |V| takes no gradient, as in its section 4.3."""

    kind = "dora"

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__(base, recipe)
        self.M = nn.Parameter(base.detach().flatten(1).norm(dim=1))

    @classmethod
    def count(cls, base: Tensor, rank: int) -> int:
        """Return how many parameters the adapter of `base` has."""
        return super().count(base, rank) + len(base)

    def weight(self, base: Tensor) -> Tensor:
        """Return the rows of V, each with the length that M gives it; a row of zeros stays one."""
        v = merged(base, *self.factors())
        norm = v.detach().flatten(1).norm(dim=1)
        length = self.M if self.rows is None else self.M * self.rows.abs()
        factor: Tensor = length / norm.where(norm > 0, 1)
        return v * factor.view(-1, *[1] * (v.ndim - 1))


class Dense(Adapter):
    """W + D, for layers so small that a low-rank pair would cost more than D (depthwise convolutions)."""

    kind = "dense"

    def __init__(self, base: Tensor) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.zeros_like(base, memory_format=torch.contiguous_format))

    def weight(self, base: Tensor) -> Tensor:
        """Return W + D."""
        if self.rows is None:
            return base + self.D
        return base + self.D * self.rows.view(-1, *[1] * (base.ndim - 1))


class Blend(Adapter):
    """W + the weighted sum of what several adapters add to W, whatever their kinds and ranks."""

    kind = "blend"

    def __init__(self, parts: Iterable[tuple[Adapter, float]]) -> None:
        super().__init__()
        adapters, self.shares = zip(*parts, strict=True)
        for number, adapter in enumerate(adapters):
            self.add_module(str(number), adapter)

    def parts(self) -> Iterator[Adapter]:
        """Yield the adapters that are blended."""
        yield from (child for child in self.children() if isinstance(child, Adapter))

    def fold(self, rows: Tensor | None) -> None:
        """Pass the factors on to every part."""
        super().fold(rows)
        for part in self.parts():
            part.fold(rows)

    def weight(self, base: Tensor) -> Tensor:
        """Return W + the sum of share (W'_part - W)."""
        adapted = base
        for part, share in zip(self.parts(), self.shares, strict=True):
            adapted = adapted + share * (part.weight(base) - base)
        return adapted


KINDS: dict[str, type[LowRank]] = {"lora": LowRank, "dora": Dora}


def build(kind: str, base: Tensor, recipe: Recipe) -> Adapter:
    """Return an adapter of a kind of `KINDS` for the plain weight `base`, or a `Dense` one where that is smaller."""
    chosen = KINDS[kind]
    return chosen(base, recipe) if chosen.count(base, recipe.rank) < base.numel() else Dense(base)
