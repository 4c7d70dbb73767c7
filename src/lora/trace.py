"""Trace one run of a model: which norm reads the output of which conv, and which ReLU the output of the norm."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from .engine.convolution import ACTIVATIONS

FOLDABLE = (nn.BatchNorm2d, BatchNormAct2d)
Pair = tuple[nn.Conv2d, nn.BatchNorm2d]


class Trace:
    """Pairs of conv and norm, and activations behind norms, as seen in one run."""

    def __init__(self) -> None:
        # By id of the output; the tensors are held, so that no id is used twice.
        self._made: dict[int, tuple[nn.Module, Tensor, int]] = {}
        self._runs: Counter[int] = Counter()
        self._pairs: list[Pair] = []
        self._activations: dict[int, nn.Module] = {}

    def follow(self, model: nn.Module, run: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Watch the model during `run`, and return its result."""
        hooks = []
        for module in model.modules():
            if isinstance(module, nn.Conv2d) or is_foldable(module):
                hooks.append(module.register_forward_hook(self._after))
            if is_foldable(module) or _is_fusable(module):
                hooks.append(module.register_forward_pre_hook(self._before))
        try:
            return run()
        finally:
            for hook in hooks:
                hook.remove()

    def pairs(self, model: nn.Module) -> list[Pair]:
        """Return the pairs of conv and norm that run once and share no weight with other layers."""
        held = Counter(id(parameter) for module in model.modules() for parameter in module._parameters.values())
        return [
            (conv, norm)
            for conv, norm in self._pairs
            if self._runs[id(conv)] == self._runs[id(norm)] == held[id(conv.weight)] == 1
        ]

    def activation(self, norm: nn.Module) -> nn.Module | None:
        """Return the ReLU that changes the norm's output in place: part of the norm, or the next module."""
        own = norm._modules.get("act")
        if own is None:
            return self._activations.get(id(norm))
        return own if _is_fusable(own) and isinstance(norm._modules.get("drop"), nn.Identity) else None

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        self._made[id(output)] = (module, output, output._version)
        self._runs[id(module)] += 1

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not args or not isinstance(args[0], Tensor):  # called with keywords
            return
        maker, output, version = self._made.get(id(args[0]), (None, args[0], 0))
        if output._version != version:  # changed in place since
            return
        if isinstance(module, nn.BatchNorm2d) and isinstance(maker, nn.Conv2d):
            self._pairs.append((maker, module))
        elif _is_fusable(module) and isinstance(maker, nn.BatchNorm2d):
            self._activations[id(maker)] = module


def tensors(output: Any) -> list[Tensor]:
    """Return the tensors of a model's output, however nested; other values are left out."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        parts = list(output.values())
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        parts = [getattr(output, field.name) for field in dataclasses.fields(output)]
    else:
        parts = list(output) if isinstance(output, (tuple, list)) else []
    return [tensor for part in parts for tensor in tensors(part)]


def _is_fusable(module: nn.Module) -> bool:
    return type(module).__name__ in ACTIVATIONS and isinstance(module, (nn.ReLU, nn.ReLU6)) and module.inplace


def is_foldable(module: nn.Module) -> bool:
    """Return whether `module` is a batch norm of a kind that can be folded."""
    return type(module) in FOLDABLE and module.running_mean is not None
