"""Modes of torch: where autograd uses the layers' own backward, how that is differentiated, and what autocast does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_recorded() -> bool:
    """Tell whether plain autograd records, and nothing else looks on: only then are a layer's own functions taken."""
    return torch.is_grad_enabled() and not is_transformed()


def is_transformed() -> bool:
    """Tell whether the model is compiled, traced, or transformed (`torch.func`, forward mode): torch's operators are.

    `is_compiling` comes first, so that the compiler looks no further.
    """
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def differentiable(layer: Callable[..., Tensor], inputs: Sequence[Tensor], g: Tensor) -> list[Tensor | None]:
    """Return the gradients of `layer(*inputs)` for g as autograd takes them, to be differentiated again.

    A backward is recorded where it was asked for with `create_graph=True`.
    """
    own = [value.view_as(value) for value in inputs]  # an input may be made from another: stop before that
    learns = [value for value in own if value.requires_grad]
    found = iter(torch.autograd.grad(layer(*own), learns, g, create_graph=True))
    return [next(found) if value.requires_grad else None for value in own]


def autocast_dtype(like: Tensor) -> torch.dtype | None:
    """Return what autocast casts to on the device of `like`, None where it is off."""
    device = like.device.type
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)  # meta has no autocast
    return torch.get_autocast_dtype(device) if on else None
