"""Modes of torch: when the layers' own backward is used, how it is differentiated, and the precision of autocast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_recorded() -> bool:
    """Return whether autograd records and no transform is active: only then are our autograd functions used."""
    return torch.is_grad_enabled() and not is_transformed()


def is_transformed() -> bool:
    """Return whether the model is compiled, traced, or transformed (`torch.func`, forward mode).

    These know torch's operators, not our autograd functions.
    """
    # First whether it is compiled: the compiler cannot trace the other calls.
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def differentiable(layer: Callable[..., Tensor], inputs: Sequence[Tensor], g: Tensor) -> list[Tensor | None]:
    """Return the gradients of `layer(*inputs)` for g as autograd computes them, with a graph of their own.

    It serves a backward under `create_graph=True`.
    """
    # Views, as one input may be computed from another: the gradients stop here.
    own = [value.view_as(value) for value in inputs]
    learns = [value for value in own if value.requires_grad]
    found = iter(torch.autograd.grad(layer(*own), learns, g, create_graph=True))
    return [next(found) if value.requires_grad else None for value in own]


def autocast_dtype(like: Tensor) -> torch.dtype | None:
    """Return the precision of autocast on the device of `like`, None where it is off."""
    device = like.device.type
    # Some devices, such as meta, have no autocast, and asking for its state raises.
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if on else None
