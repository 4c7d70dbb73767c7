"""Fold frozen batch norms into the convolutions before them, which saves their time and their activations.

A pair is folded only if the norm reads the output of the convolution itself and the input of the heads stays the same.
The original weight and bias are kept, so that unfolding is exact. A ReLU that changes the norm's output in place
becomes part of the convolution too (`src.lora.fusion`).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .fusion import fuse, part
from .heads import what_heads_read
from .look import Example, agree, look, looking, most, read, run
from .notes import forget, note, noted
from .surgery import FOLD, act_once, pass_through, restore_class
from .trace import Pair, Trace, is_foldable

log = logging.getLogger(__name__)
SMALLEST_ROW = 1e-6  # of the largest factor: a channel below it is turned off


@dataclass
class FoldedNorm:
    """What is kept of a folded norm: its conv, the conv's original weight and bias, and each row's factor (out)."""

    conv: nn.Conv2d
    weight: nn.Parameter
    bias: nn.Parameter | None
    rows: Tensor

    @property
    def alive(self) -> Tensor:
        """Rows that can learn (out, bool): those that the norm does not multiply by zero or nearly zero."""
        rows = self.rows.abs()
        return rows > SMALLEST_ROW * rows.max()

    def unfolded(self, folded: Tensor) -> Tensor:
        """Return W' of the plain conv for W' of the folded one: W + (W'_folded - W_folded) / rows."""
        rows = self.rows.view(-1, *[1] * (folded.ndim - 1))
        base = self.conv._parameters["weight"]
        assert base is not None
        # In float64: the division by a small factor would magnify the rounding of the subtraction.
        update = (folded.double() - base.detach().double()) / rows.where(self.alive.view_as(rows), 1)
        return (self.weight.detach().double() + update).to(folded.dtype)

    def follow(self) -> None:
        """Move what is kept to the device and precision that the model was moved to since (`model.to`)."""
        like = self.conv._parameters["weight"]
        assert like is not None
        self.rows = self.rows.to(like.device)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                parameter.data = parameter.data.to(device=like.device, dtype=like.dtype)


def fold_norms(model: nn.Module, example: Example | None = None) -> int:
    """Fold every batch norm of `model` that can be folded, in place, traced and verified on `example` or on noise.

    A model that does not run on noise stays as it is, with a warning. The check runs on the CPU, so that every machine
    folds the same norms.

    Returns:
        How many were folded.

    Raises:
        ValueError: The model does not run on `example`.
    """
    if not any(map(is_foldable, model.modules())):
        return 0
    try:
        on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
        found = _found(model if on_cpu else copy.deepcopy(model).cpu(), example)
    except Exception as error:
        if example is not None:
            raise
        log.warning("batch norms stay unfolded: %s; an example= that the model takes lets them fold", error)
        return 0
    modules = dict(model.named_modules())
    for conv, norm, act in found:
        _fold(modules[conv], modules[norm])
        if act is not None:
            fuse(modules[conv], modules[norm], modules[act])
            act_once(modules[act])
    return len(found)


def _found(model: nn.Module, example: Example | None) -> list[tuple[str, str, str | None]]:
    """Return the names of the convs and norms that fold, and of the ReLU that the conv can apply as well.

    Raises:
        Unseen: The model does not run.
    """

    def see(tried: Example) -> tuple[Trace, list[Tensor]]:
        trace = Trace()
        return trace, what_heads_read(model, lambda: trace.follow(model, lambda: run(model, tried)))

    seen, (trace, before) = look(model, example, see)
    pairs = [(conv, norm) for conv, norm in trace.pairs(model) if bool(_rows(norm).any())]

    def same(some: Sequence[Pair]) -> bool:
        with looking(model):
            for conv, norm in some:
                _fold(conv, norm)
            return agree(read(model, seen), before)

    kept = most(pairs, same) if any(value.numel() for value in before) else []
    if len(kept) < len(pairs):
        why = "the output would change" if any(value.numel() for value in before) else "the model gives no output"
        log.warning("%d of %d batch norms stay unfolded: %s", len(pairs) - len(kept), len(pairs), why)
    # Names, not modules: the model that was checked may be a copy on the CPU.
    names = {id(module): name for name, module in model.named_modules()}
    acts = [trace.activation(norm) for _, norm in kept]
    return [
        (names[id(conv)], names[id(norm)], None if act is None else names[id(act)])
        for (conv, norm), act in zip(kept, acts, strict=True)
    ]


def unfold(norm: nn.Module) -> None:
    """Restore a folded norm and its conv bit for bit; a norm that is not folded stays as it is."""
    fold = _of(norm)
    if fold is None:
        return
    fold.follow()
    fold.conv._parameters["weight"], fold.conv._parameters["bias"] = fold.weight, fold.bias
    part(fold.conv)
    forget(norm, FOLD)
    restore_class(norm)


def is_folded(module: nn.Module) -> bool:
    """Return whether `module` is a norm that is folded into its conv."""
    return _of(module) is not None


def folded_norms(model: nn.Module) -> dict[int, FoldedNorm]:
    """Return what is kept of every folded norm, by the `id` of its conv."""
    found = [fold for fold in map(_of, model.modules()) if fold is not None]
    for fold in found:
        fold.follow()
    return {id(fold.conv): fold for fold in found}


def _of(norm: nn.Module) -> FoldedNorm | None:
    fold: FoldedNorm | None = noted(norm, FOLD)
    return fold


def _rows(norm: nn.BatchNorm2d) -> Tensor:
    """Return the factor by which the norm multiplies each channel, in double precision."""
    assert norm.running_var is not None
    rows = norm.running_var.double().add(norm.eps).rsqrt()
    return rows if norm.weight is None else rows * norm.weight.detach().double()


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    # In float64, rounded once: so the folded layer differs least from the two that it replaces.
    rows = _rows(norm)
    bias = -norm.running_mean.double() if conv.bias is None else conv.bias.detach().double() - norm.running_mean
    bias = bias * rows if norm.bias is None else bias * rows + norm.bias.detach().double()
    weight = conv.weight.detach().double() * rows.view(-1, 1, 1, 1)
    kept, kept_bias = conv._parameters["weight"], conv._parameters["bias"]
    assert kept is not None
    note(norm, FOLD, FoldedNorm(conv, kept, kept_bias, rows))
    conv._parameters["weight"] = _frozen(weight.to(conv.weight), conv.weight)
    conv._parameters["bias"] = _frozen(bias.to(conv.weight), conv.weight)
    pass_through(norm)


def _frozen(value: Tensor, like: Tensor) -> nn.Parameter:
    # In the memory format of the old weight: a mixed one costs a copy at each call.
    if value.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        value = value.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(value, requires_grad=False)
