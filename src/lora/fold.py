"""Fold frozen batch norms into the convolutions before them, so that nothing of them is computed or saved.

A pair is folded only when the norm reads the very output of the conv, and only if what reaches the heads says that the
fold is right. The original weight and bias are kept, so that unfolding is exact. A ReLU that changes the norm's output
in place becomes part of the convolution too.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from src.lora.heads import what_heads_read
from src.lora.surgery import act_once, pass_through, restore_class
from src.lora.trace import Pair, Trace, tensors

log = logging.getLogger(__name__)
TOLERANCE = 1e-5  # of the largest value that reaches a head
MOST_CHANNELS = 4  # of an image
SMALLEST_ROW = 1e-6  # of the largest: such a channel is off
T = TypeVar("T")


@dataclass
class Fold:
    """What a folded norm remembers: its conv, the conv's own weight and bias, and each output row's factor (out)."""

    conv: nn.Conv2d
    weight: nn.Parameter
    bias: nn.Parameter | None
    rows: Tensor

    @property
    def alive(self) -> Tensor:
        """Which rows (out, bool) can learn: those that the norm does not multiply by zero, or nearly so."""
        rows = self.rows.abs()
        return rows > SMALLEST_ROW * rows.max()

    def unfolded(self, folded: Tensor) -> Tensor:
        """Return W' of the plain conv for W' of the folded one: W + (W'_folded - W_folded) / rows."""
        rows = self.rows.view(-1, *[1] * (folded.ndim - 1))
        base = self.conv._parameters["weight"]
        assert base is not None
        update = (folded.double() - base.detach().double()) / rows.where(self.alive.view_as(rows), 1)
        return (self.weight.detach().double() + update).to(folded.dtype)

    def follow(self) -> None:
        """Bring what is kept to where the model has gone since (`model.to`)."""
        like = self.conv._parameters["weight"]
        assert like is not None
        self.rows = self.rows.to(like.device)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                parameter.data = parameter.data.to(device=like.device, dtype=like.dtype)


def fold_norms(model: nn.Module) -> int:
    """Fold every batch norm of `model` that can be folded, in place, traced and verified on noise.

    The noise has the input size of timm's `pretrained_cfg`, or 224 pixels; a model that does not run on it stays as
    it is, with a warning. What folds is found on the CPU, so that every machine folds the same.

    Returns:
        How many were folded.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    found = _foldable(model if on_cpu else copy.deepcopy(model).cpu())
    modules = dict(model.named_modules())
    for conv, norm, act in found:
        _fold(modules[conv], modules[norm])
        if act is not None:
            modules[conv].__dict__["act"] = type(modules[act]).__name__
            act_once(modules[act])
    return len(found)


def _foldable(model: nn.Module) -> list[tuple[str, str, str | None]]:
    """Return the names of the convs and norms that fold, and of the ReLU that the conv can apply as well."""
    example, trace = example_of(model), Trace()
    with in_eval(model):
        try:
            before = what_heads_read(model, lambda: trace.run(model, example))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            log.warning("batch norms stay unfolded: the model does not run on %s (%s)", tuple(example.shape), error)
            return []
        pairs = [(conv, norm) for conv, norm in trace.pairs(model) if bool(_rows(norm).any())]
        kept = _most(pairs, lambda some: _folds_right(model, some, example, before))
    if len(kept) < len(pairs):
        log.warning("%d of %d batch norms stay unfolded: the output would change", len(pairs) - len(kept), len(pairs))
    names = {id(module): name for name, module in model.named_modules()}
    acts = [trace.activation(norm) for _, norm in kept]
    return [
        (names[id(conv)], names[id(norm)], None if act is None else names[id(act)])
        for (conv, norm), act in zip(kept, acts, strict=True)
    ]


def check_fusions(model: nn.Module) -> None:
    """Let convs apply no ReLU whose input has another reader: where gradients are taken, that one would see it too.

    Asked of the frozen model, on noise: what it says with gradients is what it says without.
    """
    acts = {module: module.__dict__["act"] for module in model.modules() if "act" in module.__dict__}
    if not acts:
        return

    def fused(some: Sequence[nn.Module]) -> bool:
        for module, act in acts.items():
            module.__dict__["act"] = act if module in some else None
        with torch.enable_grad():
            return _same(_read(model, example), expected)

    example = example_of(model)
    with in_eval(model):
        expected = _read(model, example)
        kept = _most(list(acts), fused)
    for module, act in acts.items():
        module.__dict__["act"] = act if module in kept else None


def _most(candidates: list[T], holds: Callable[[list[T]], bool]) -> list[T]:
    """Return the candidates if it holds for all at once, else those for which it holds alone, if together it does."""
    if holds(candidates):
        return candidates
    single = [candidate for candidate in candidates if holds([candidate])]
    return single if holds(single) else []


def unfold(norm: nn.Module) -> None:
    """Give a folded norm and its conv back what they were before, bit for bit."""
    fold = _of(norm)
    if fold is None:
        return
    fold.follow()
    fold.conv._parameters["weight"], fold.conv._parameters["bias"] = fold.weight, fold.bias
    fold.conv.__dict__.pop("act", None)
    del norm.__dict__["fold"]
    restore_class(norm)


def is_folded(module: nn.Module) -> bool:
    """Tell whether `module` is a norm that its conv computes at the moment."""
    return _of(module) is not None


def folds(model: nn.Module) -> dict[int, Fold]:
    """Return what every folded conv was, by the conv's `id`."""
    found = [fold for fold in map(_of, model.modules()) if fold is not None]
    for fold in found:
        fold.follow()
    return {id(fold.conv): fold for fold in found}


def _of(norm: nn.Module) -> Fold | None:
    return norm.__dict__.get("fold")


def _rows(norm: nn.BatchNorm2d) -> Tensor:
    """Return the factor by which the norm multiplies each channel, in double precision."""
    assert norm.running_var is not None
    rows = norm.running_var.double().add(norm.eps).rsqrt()
    return rows if norm.weight is None else rows * norm.weight.detach().double()


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    rows = _rows(norm)
    bias = -norm.running_mean.double() if conv.bias is None else conv.bias.detach().double() - norm.running_mean
    bias = bias * rows if norm.bias is None else bias * rows + norm.bias.detach().double()
    weight = conv.weight.detach().double() * rows.view(-1, 1, 1, 1)
    kept, kept_bias = conv._parameters["weight"], conv._parameters["bias"]
    assert kept is not None
    norm.__dict__["fold"] = Fold(conv, kept, kept_bias, rows)
    conv._parameters["weight"] = _frozen(weight.to(conv.weight), conv.weight)
    conv._parameters["bias"] = _frozen(bias.to(conv.weight), conv.weight)
    pass_through(norm)


def _frozen(value: Tensor, like: Tensor) -> nn.Parameter:
    if value.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        value = value.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(value, requires_grad=False)


def _folds_right(model: nn.Module, pairs: Sequence[Pair], example: Tensor, before: list[Tensor]) -> bool:
    for conv, norm in pairs:
        _fold(conv, norm)
    after = _read(model, example)
    for _, norm in pairs:
        unfold(norm)
    return _same(after, before)


def _read(model: nn.Module, example: Tensor) -> list[Tensor]:
    return what_heads_read(model, lambda: tensors(model(example)))


def _same(after: list[Tensor], before: list[Tensor]) -> bool:
    return all(
        bool((new - old).abs().max() <= TOLERANCE * old.abs().max()) for new, old in zip(after, before, strict=True)
    )


def example_of(model: nn.Module) -> Tensor:
    """Return two images of noise, of the size that timm's `pretrained_cfg` says, else 224 pixels."""
    config = getattr(model, "pretrained_cfg", None) or {}
    size = config.get("input_size", (3, 224, 224))
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    # timm's config keeps three channels for a grey model; a first layer of more is not the one that sees the image
    channels = size[0] if conv is None or conv.in_channels > MOST_CHANNELS else conv.in_channels
    like = next(model.parameters())
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *size[1:], generator=generator).to(like)


@contextmanager
def in_eval(model: nn.Module) -> Iterator[None]:
    """Evaluate inside without gradients, and give the modes back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
