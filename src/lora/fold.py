"""Fold frozen batch norms into the convolutions before them, so that nothing of them is computed or saved.

A pair is folded only when the norm reads the very output of the conv, and only if the model's output says that the
fold is right. The original weight and bias are kept, so that unfolding is exact. A ReLU that changes the norm's output
in place becomes part of the convolution too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from src.lora.convolution import ACTIVATIONS
from src.lora.surgery import act_once, pass_through, restore_class

log = logging.getLogger(__name__)
TOLERANCE = 1e-5  # of the output's largest value
SMALLEST_ROW = 1e-6  # of the largest: such a channel is off
FOLDABLE = (nn.BatchNorm2d, BatchNormAct2d)
Pair = tuple[nn.Conv2d, nn.BatchNorm2d]


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
    it is, with a warning.

    Returns:
        How many were folded.
    """
    example, trace = _example(model), _Trace()
    with _in_eval(model):
        before = trace.run(model, example)
        pairs = trace.pairs(model)
        kept = pairs if _folds_right(model, pairs, example, before) else []
        if pairs and not kept:  # one at a time finds the pairs whose conv output has another reader
            kept = [pair for pair in pairs if _folds_right(model, [pair], example, before)]
            kept = kept if _folds_right(model, kept, example, before) else []
    for conv, norm in kept:
        _fold(conv, norm)
        _fuse(conv, trace.activation(norm))
    return len(kept)


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


def _fuse(conv: nn.Conv2d, act: nn.Module | None) -> None:
    """Let the convolution apply the activation behind its norm, where gradients are taken."""
    if act is not None:
        conv.__dict__["act"] = type(act).__name__
        act_once(act)


def _frozen(value: Tensor, like: Tensor) -> nn.Parameter:
    if value.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        value = value.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(value, requires_grad=False)


def _folds_right(model: nn.Module, pairs: list[Any], example: Tensor, before: list[Tensor]) -> bool:
    if not pairs:
        return True
    for conv, norm in pairs:
        _fold(conv, norm)
    after = _tensors(model(example))
    for _, norm in pairs:
        unfold(norm)
    return all(
        bool((new - old).abs().max() <= TOLERANCE * old.abs().max()) for new, old in zip(after, before, strict=True)
    )


class _Trace:
    """Which norm reads the very output of which conv, and which ReLU reads that of the norm, in one run of a model."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[nn.Module, Tensor, int]] = {}  # holds the tensors, so that no id is used twice
        self._runs: Counter[int] = Counter()
        self._pairs: list[Pair] = []
        self._activations: dict[int, nn.Module] = {}

    def run(self, model: nn.Module, example: Tensor) -> list[Tensor]:
        """Run the model and return its outputs; none, with a warning, when it does not run on the example."""
        hooks = []
        for module in model.modules():
            if isinstance(module, nn.Conv2d) or _foldable(module):
                hooks.append(module.register_forward_hook(self._after))
            if _foldable(module) or _is_fusable(module):
                hooks.append(module.register_forward_pre_hook(self._before))
        try:
            return _tensors(model(example))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            log.warning("batch norms stay unfolded: the model does not run on %s (%s)", tuple(example.shape), error)
            self._pairs.clear()
            return []
        finally:
            for hook in hooks:
                hook.remove()

    def pairs(self, model: nn.Module) -> list[Pair]:
        """Return the convs and norms that run once, with a weight of their own, and leave some channel on."""
        held = Counter(id(parameter) for module in model.modules() for parameter in module._parameters.values())
        return [
            (conv, norm)
            for conv, norm in self._pairs
            if self._runs[id(conv)] == self._runs[id(norm)] == held[id(conv.weight)] == 1 and bool(_rows(norm).any())
        ]

    def activation(self, norm: nn.Module) -> nn.Module | None:
        """Return the ReLU that changes the norm's output in place, its own or the next module."""
        own = norm._modules.get("act")
        if own is None:
            return self._activations.get(id(norm))
        return own if _is_fusable(own) and isinstance(norm._modules.get("drop"), nn.Identity) else None

    def _after(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._made[id(output)] = (module, output, output._version)
        self._runs[id(module)] += 1

    def _before(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        maker, output, version = self._made.get(id(args[0]), (None, args[0], 0))
        if output._version != version:  # somebody has changed it since
            return
        if isinstance(module, nn.BatchNorm2d) and isinstance(maker, nn.Conv2d):
            self._pairs.append((maker, module))
        elif _is_fusable(module) and isinstance(maker, nn.BatchNorm2d):
            self._activations[id(maker)] = module


def _is_fusable(module: nn.Module) -> bool:
    return type(module).__name__ in ACTIVATIONS and isinstance(module, (nn.ReLU, nn.ReLU6)) and module.inplace


def _foldable(module: nn.Module) -> bool:
    return type(module) in FOLDABLE and module.running_mean is not None


def _tensors(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in _tensors(part)]


def _example(model: nn.Module) -> Tensor:
    config = getattr(model, "pretrained_cfg", None) or {}
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = conv.in_channels if conv is not None else 3
    size = config.get("input_size", (channels, 224, 224))
    like = next(model.parameters())
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *size[1:], generator=generator).to(like)


@contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
