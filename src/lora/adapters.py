"""The kinds of adapter: each is a small module that computes the adapted weight W' from the frozen W."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .engine.modes import is_recorded
from .engine.products import LOW, merged
from .engine.weight import AdaptedWeight

INITS = ("default", "pissa", "eva")


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one low-rank adapter: rank, scale of the update, a word of `INITS`, and rank dropout."""

    rank: int
    scale: float
    init: str = "default"
    dropout: float = 0.0


def learnable(base: Tensor) -> Tensor:
    """Return `base` in the precision that its adapter is trained in: at least float32, which keeps small steps."""
    return base.float() if base.dtype in LOW else base


class Adapter(nn.Module):
    """An update of one weight; layers only call `weight(W)`.

    Where a batch norm is folded into the layer, W is the folded weight, and the update is learnt for that: its rows
    have similar norms. For the plain weight of EfficientNet-Lite0, one learning rate is 50 times too high for some
    channels and too low for others. Parameters are float32 where W has half precision; W' has the precision of W.
    """

    kind: str
    alive: Tensor | None

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__()
        self.register_buffer("alive", None, persistent=False)

    def leave(self, alive: Tensor) -> None:
        """Adapt only the rows of `alive` (out, bool): the folded norm turns the other channels off."""
        self.alive = None if bool(alive.all()) else alive  # the usual case costs no product

    @classmethod
    def shapes(cls, base: Tensor, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter of an adapter for `base`."""
        raise NotImplementedError

    def weight(self, base: Tensor) -> Tensor:
        """Return W' for the frozen weight `base`, of the same shape."""
        raise NotImplementedError

    def product(self) -> tuple[Tensor, Tensor]:
        """Return b (out x k) and a (k x fan_in) with W' = W + b a for every W.

        Raises:
            ValueError: The update depends on W.
        """
        raise ValueError(f"what a {self.kind} adapter adds to a weight depends on the weight")


class LowRank(Adapter):
    """W + scale B A, the LoRA of Hu et al. (arXiv 2106.09685) on a weight seen as out x fan_in.

    With `pissa` the pair starts as the principal part of W. The update is then B A - B0 A0, with the initial pair in
    B0 and A0, so that W itself stays untouched.
    """

    kind = "low-rank"
    B0: Tensor | None
    A0: Tensor | None

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__(base, recipe)
        out, fan_in, dtype = base.shape[0], base[0].numel(), learnable(base).dtype
        self.A = nn.Parameter(base.new_empty(recipe.rank, fan_in, dtype=dtype))
        self.B = nn.Parameter(base.new_zeros(out, recipe.rank, dtype=dtype))
        self.scale, self.dropout = recipe.scale, nn.Dropout(recipe.dropout)
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        b, a = principal(base / self.scale, recipe.rank) if recipe.init == "pissa" else (None, None)
        # Not persistent: `principal` computes the same pair from the base on every machine.
        self.register_buffer("B0", None if b is None else b.to(dtype), persistent=False)
        self.register_buffer("A0", None if a is None else a.to(dtype), persistent=False)
        if b is not None and a is not None:
            self.B.data.copy_(b)
            self.A.data.copy_(a)

    @classmethod
    def shapes(cls, base: Tensor, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of A and B."""
        return {"A": (rank, base[0].numel()), "B": (base.shape[0], rank)}

    def change(self) -> tuple[Tensor, Tensor]:
        """Return b (out x k) and a (k x fan_in) with b a = B A - B0 A0, zero bit for bit at the start."""
        if self.B0 is None or self.A0 is None:
            return self.B, self.A
        # (B - B0) A + B0 (A - A0): the difference of two products would round to more than zero.
        return torch.cat([self.B - self.B0, self.B0], 1), torch.cat([self.A, self.A - self.A0])

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return b and a with b a the update of the weight, scale and dropout included."""
        b, a = self.change()
        b = b if self.scale == 1 else b * self.scale
        if self.training and self.dropout.p:
            # Whole ranks are dropped, not inputs: no input passes through the adapter.
            kept = self.dropout(torch.ones_like(self.B[0]))
            b = b * kept.repeat(b.shape[1] // len(kept))
        return (b if self.alive is None else b * self.alive[:, None]), a

    def product(self) -> tuple[Tensor, Tensor]:
        """Return B, with the scale, and A."""
        return self.factors()

    def weight(self, base: Tensor) -> Tensor:
        """Return W + scale B A: an `AdaptedWeight` where gradients are computed and W is frozen, else the dense sum."""
        b, a = self.factors()
        if is_recorded() and not base.requires_grad:
            return AdaptedWeight.of(base, b, a)
        return merged(base, b, a)


class Dora(LowRank):
    """M V / |V| row by row, with V = W + scale B A (arXiv 2402.09353); |V| takes no gradient, as in its section 4.3."""

    kind = "dora"

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__(base, recipe)
        self.M = nn.Parameter(learnable(base).detach().flatten(1).norm(dim=1))

    def product(self) -> tuple[Tensor, Tensor]:
        """Raise: DoRA rescales the rows of V, so its update depends on W."""
        return Adapter.product(self)

    @classmethod
    def shapes(cls, base: Tensor, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of A, B and M."""
        return super().shapes(base, rank) | {"M": (base.shape[0],)}

    def weight(self, base: Tensor) -> Tensor:
        """Return the rows of V, each scaled to the norm in M; a row of zeros stays zero."""
        v = merged(base.to(self.M.dtype), *self.factors())
        norm = v.detach().flatten(1).norm(dim=1)
        # A row that is off keeps its norm, and thereby its values.
        length = self.M if self.alive is None else self.M.where(self.alive, norm)
        factor: Tensor = length / norm.where(norm > 0, 1)
        return (v * factor.view(-1, *[1] * (v.ndim - 1))).to(base.dtype)


class Dense(Adapter):
    """W + D, for layers so small that a low-rank pair would cost more than D (depthwise convolutions)."""

    kind = "dense"

    def __init__(self, base: Tensor, recipe: Recipe) -> None:
        super().__init__(base, recipe)
        self.D = nn.Parameter(torch.zeros_like(learnable(base), memory_format=torch.contiguous_format))

    @classmethod
    def shapes(cls, base: Tensor, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of D."""
        return {"D": tuple(base.shape)}

    def weight(self, base: Tensor) -> Tensor:
        """Return W + D."""
        delta = self.D if self.alive is None else self.D * self.alive.view(-1, *[1] * (base.ndim - 1))
        return (base + delta).to(base.dtype)

    def product(self) -> tuple[Tensor, Tensor]:
        """Return D and the identity of its shorter side."""
        d = self.weight(torch.zeros_like(self.D)).flatten(1)
        out, fan_in = d.shape
        eye = torch.eye(min(out, fan_in), dtype=d.dtype, device=d.device)
        return (d, eye) if fan_in <= out else (eye, d)


class Blend(Adapter):
    """W + the weighted sum of the updates of several adapters, of any kinds and ranks."""

    kind = "blend"

    def __init__(self, parts: Iterable[tuple[Adapter, float]]) -> None:
        nn.Module.__init__(self)
        adapters, self.shares = zip(*parts, strict=True)
        for number, adapter in enumerate(adapters):
            self.add_module(str(number), adapter)

    def weight(self, base: Tensor) -> Tensor:
        """Return W + the sum of share (W'_part - W)."""
        exact = learnable(base)  # in half precision every part would round anew
        adapted = exact
        for part, share in zip(self.children(), self.shares, strict=True):
            assert isinstance(part, Adapter)
            adapted = adapted + share * (part.weight(exact) - exact)
        return adapted.to(base.dtype)


def principal(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return B (out x rank) and A (rank x fan_in) with B A the best approximation of `weight` of that rank.

    PiSSA (arXiv 2404.02948) starts its adapters there. The decomposition is taken in float64, each pair gets the sign
    that makes B's largest entry positive, and both are cut to the 8 bits of bfloat16: machines that round the
    decomposition apart in its 53rd bit still get the same pair, so that an adapter's file need not hold it. Ranks that
    the weight does not have are zero.
    """
    u, s, v = torch.linalg.svd(weight.detach().flatten(1).cpu().double(), full_matrices=False)
    u, s, v = u[:, :rank], s[:rank], v[:rank]
    sign = u.gather(0, u.abs().argmax(0, keepdim=True)).sign()[0]
    root = s.sqrt()
    b, a = weight.new_zeros(len(weight), rank), weight.new_zeros(rank, v.shape[1])
    b[:, : len(s)] = (u * sign * root).bfloat16().to(weight)
    a[: len(s)] = (v * (sign * root)[:, None]).bfloat16().to(weight)
    return b, a


KINDS: dict[str, type[Adapter]] = {"lora": LowRank, "dora": Dora}


def choose(kind: str, base: Tensor, rank: int) -> type[Adapter]:
    """Return the adapter class for `base`: that of the kind, or `Dense` where that has no more parameters."""
    chosen = KINDS[kind]
    return chosen if sum(math.prod(shape) for shape in chosen.shapes(base, rank).values()) < base.numel() else Dense
