"""The liveness probe: find adapters that get no gradient from real batches, and would silently never learn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ..lora.adapters import Adapter
from ..lora.heads import heads_that_read

BATCHES = 3
SCALE = 1024.0  # of the loss, so that a small gradient does not vanish in fp16; liveness has no scale


def require_alive(model: nn.Module, losses: Iterable[Tensor]) -> None:
    """Stop a training whose adapters cannot all learn, and leave no trace in `model` or in torch's random state.

    An adapter is alive when any of its parameters gets a gradient other than zero: at the start B = 0 keeps that of A
    at zero. As many of three losses are taken as it needs until all are alive.

    Args:
        model: With adapters; without any, nothing is done.
        losses: Loss of one training batch after the other (scalars), each computed only when it is asked for.

    Raises:
        ValueError: An adapter got no gradient from any of the batches.
    """
    dead = _parameters(model)
    if not dead:
        return
    with _untouched(model), _nothing_dropped(model), heads_that_read(model), torch.enable_grad():
        seen = 0
        for seen, loss in enumerate(islice(losses, BATCHES), start=1):
            if not loss.isfinite():
                raise ValueError(
                    f"the loss of batch {seen} is {float(loss.detach())} before any step: look at images and labels"
                )
            dead = _without_gradient(loss * SCALE, dead)
            if not dead:
                return
    raise ValueError(
        f"{len(dead)} adapters get no gradient from {seen} real batches and would never learn: {', '.join(dead)}; "
        "choose lora.targets (a word or a list of module-name globs) that leave them out"
    )


def _parameters(model: nn.Module) -> dict[str, list[Tensor]]:
    """Return the trained parameters of each adapter, by the name of the layer that it adapts."""
    found: dict[str, list[Tensor]] = {}
    for name, module in model.named_modules():
        if isinstance(module, Adapter):
            layer = name.rpartition(".")[0]
            found.setdefault(layer, []).extend(p for p in module.parameters() if p.requires_grad)
    return found


def _without_gradient(loss: Tensor, candidates: dict[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """Return those candidates that `loss` gives no gradient; `grad` fields are not touched."""
    flat = [parameter for parameters in candidates.values() for parameter in parameters]
    gradients = iter(torch.autograd.grad(loss, flat, allow_unused=True) if loss.requires_grad else [None] * len(flat))
    moved = {
        name: [  # NaN is no life: it is not above 0
            gradient is not None and bool((gradient.abs() > 0).any()) for gradient in islice(gradients, len(parameters))
        ]
        for name, parameters in candidates.items()
    }
    return {name: parameters for name, parameters in candidates.items() if not any(moved[name])}


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Enter train mode, and restore modes, buffers and the random state on exit."""
    modes = {module: module.training for module in model.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    # Augmented batches draw random numbers: the training must not depend on the number of probes.
    with torch.random.fork_rng(devices):
        try:
            model.train()
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            for buffer, before in buffers:
                buffer.copy_(before)


@contextmanager
def _nothing_dropped(model: nn.Module) -> Iterator[None]:
    """Disable dropout and stochastic depth: a block that is skipped for a small batch looks dead."""
    rates: list[tuple[nn.Module, str]] = [(m, "p") for m in model.modules() if isinstance(m, _DropoutNd)]
    rates += [(m, "drop_prob") for m in model.modules() if isinstance(m, DropPath)]
    before = [getattr(module, rate) for module, rate in rates]
    try:
        for module, rate in rates:
            setattr(module, rate, 0.0)
        yield
    finally:
        for (module, rate), value in zip(rates, before, strict=True):
            setattr(module, rate, value)
