"""The parameters, the state and the inputs of the heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .targets import classifiers


def head_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of the model's classifiers by their names in the model."""
    heads = {id(parameter) for head in classifiers(model) for parameter in head.parameters()}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) in heads}


def head_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and persistent buffers, such as statistics of a norm, of the model's classifiers."""
    heads, kept = {id(buffer) for head in classifiers(model) for buffer in head.buffers()}, model.state_dict()
    buffers = {name: buffer for name, buffer in model.named_buffers() if id(buffer) in heads and name in kept}
    return {**head_parameters(model), **buffers}


def what_heads_read(model: nn.Module, run: Callable[[], list[Tensor]]) -> list[Tensor]:
    """Return the inputs of the heads of `model` in `run`, or what `run` returns where no head is called.

    Their scale is that of the backbone. The scale of logits depends on the head, which may still be random.
    """
    seen: list[Tensor] = []

    def note(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen.extend(value for value in args if isinstance(value, Tensor))

    hooks = [head.register_forward_pre_hook(note) for head in classifiers(model) if not isinstance(head, nn.Identity)]
    try:
        outputs = run()
    finally:
        for hook in hooks:
            hook.remove()
    return seen or outputs


@contextmanager
def heads_that_read(model: nn.Module) -> Iterator[None]:
    """Fill head weights that are all zero for the block: they would pass no signal on, forward or backward."""
    zeros = [p for head in classifiers(model) for p in head.parameters() if p.ndim > 1 and not p.any()]
    generator = torch.Generator().manual_seed(0)
    try:
        for parameter in zeros:
            parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        yield
    finally:
        for parameter in zeros:
            parameter.data.zero_()
